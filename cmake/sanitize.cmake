# Sanitizers as build types of their own: MARCEL_SANITIZE=address is ASan with UBSan,
# MARCEL_SANITIZE=thread is TSan. Either makes every finding fatal.
if(MARCEL_SANITIZE STREQUAL "address")
  target_compile_options(marcel_rules INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(marcel_rules INTERFACE -fsanitize=address,undefined)
elseif(MARCEL_SANITIZE STREQUAL "thread")
  target_compile_options(marcel_rules INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(marcel_rules INTERFACE -fsanitize=thread)
elseif(NOT MARCEL_SANITIZE STREQUAL "")
  message(FATAL_ERROR "MARCEL_SANITIZE is '${MARCEL_SANITIZE}'; it can be empty, address or thread")
endif()
