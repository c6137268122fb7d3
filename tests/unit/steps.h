/*
 * Whether a test can step through a child's instructions, as those do that look at each of them as
 * if the child had died there.
 */
#pragma once

#include <stdbool.h>

/* Instrumented by TSan each store is a hundred instructions, of which none is ours. */
#if defined(__SANITIZE_THREAD__)
#define STEPS_ARE_OURS false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STEPS_ARE_OURS false
#endif
#endif
#ifndef STEPS_ARE_OURS
#define STEPS_ARE_OURS true
#endif
