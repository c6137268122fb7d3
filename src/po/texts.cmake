# Gathers all texts marked with _() and N_() below SOURCES into the template POT; with PO, fails
# when that file lacks the translation of one. (cmake -P; see CMakeLists.txt.)
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} WORKING_DIRECTORY ${SOURCES}/.. RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    list(GET ARGV 0 program)
    message(FATAL_ERROR "${program}: ${result}")
  endif()
endfunction()

file(GLOB_RECURSE files RELATIVE ${SOURCES}/.. ${SOURCES}/*.c ${SOURCES}/*.h)
list(SORT files)
if(NOT files)
  message(FATAL_ERROR "no sources below ${SOURCES}")
endif()
run(${XGETTEXT} --language=C --from-code=UTF-8 --keyword --keyword=_ --keyword=N_
  --flag=_:1:pass-c-format --flag=N_:1:pass-c-format
  --flag=report_add:2:c-format --flag=report_add_at:4:c-format --flag=say_error:1:c-format
  --add-comments=TRANSLATORS --add-location=file --package-name=marcel --width=98
  --output=${POT} ${files})
if(PO)
  run(${MSGCMP} ${PO} ${POT})
endif()
