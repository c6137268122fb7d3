# What Marcel is built on: libsystemd and inih for the daemon, PCRE2 for the patterns of scripts,
# libedit for the client's line editing, ncurses for the operator's desk, gettext's msgfmt for their
# languages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Gettext REQUIRED)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd>=252)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(LIBEDIT REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(NCURSESW REQUIRED IMPORTED_TARGET ncursesw)

# Debian's inih can be told at run time not to cut values; upstream's can't, and a value cut
# short without a word is worse than no build at all.
include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES PkgConfig::INIH)
check_c_source_compiles("
  #include <ini.h>
  int main(void)
  {
    ini_allow_inline_comments = ini_allow_multiline = ini_use_stack = 0;
    ini_allow_realloc = ini_allow_no_value = 1;
    ini_max_line = 1 << 20;
    return 0;
  }" MARCEL_INIH_HAS_VARIABLES)
unset(CMAKE_REQUIRED_LIBRARIES)
if(NOT MARCEL_INIH_HAS_VARIABLES)
  message(FATAL_ERROR "this inih has no run-time variables (ini_max_line and its like, a patch "
    "that Debian's libinih-dev carries): it would cut long values short")
endif()
