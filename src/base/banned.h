/*
 * Functions that Marcel does not use, refused by the compiler.
 *
 * This header comes before every source file (-include): it first takes in the system headers
 * that declare the functions and then replaces their names by one that does not exist. Each has
 * a replacement that cannot overrun, cannot leak a descriptor into a child, or says that it
 * failed.
 */
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The names are not ours to choose. NOLINTBEGIN(readability-identifier-naming) */
#define strcpy(...)   banned_use_snprintf_or_memcpy
#define strcat(...)   banned_use_snprintf
#define strncpy(...)  banned_use_memcpy
#define strncat(...)  banned_use_snprintf
#define sprintf(...)  banned_use_snprintf
#define vsprintf(...) banned_use_vsnprintf
#define strtok(...)   banned_use_strtok_r_or_strcspn
#define atoi(...)     banned_use_text_parse_unsigned
#define atol(...)     banned_use_text_parse_unsigned
#define accept(...)   banned_use_accept4_with_sock_cloexec
#define dup(...)      banned_use_fcntl_f_dupfd_cloexec
#define dup2(...)     banned_use_dup3_with_o_cloexec
#define creat(...)    banned_use_open_with_o_cloexec
#define signal(...)   banned_use_sigaction
#define gmtime(...)   banned_use_gmtime_r
#define usleep(...)   banned_let_something_wake_you
#define setenv(...)   banned_threads_read_the_environment
/* NOLINTEND(readability-identifier-naming) */
