/*
 * The kinds of records: one table for the enumeration, the message ids (sd-id128(3); each has an
 * entry in systemd/marcel.catalog and marcel.fr.catalog), the priority (syslog(3)) and the class
 * that decides what is dropped first when the ring is full.
 *
 * A message id never changes and is never used for something else: people filter by them. New kinds
 * come at the end of the table: their numbers lie in rings that the next version takes over.
 */
#pragma once

enum record_class {
	RECORD_TRANSCRIPT,  /* dropped first */
	RECORD_INFORMATIVE, /* dropped next */
	RECORD_ESSENTIAL,   /* ends, refusals, failures: dropped last, always counted */
};

/* X(NAME, name in JSON and text, message id, priority, class) */
#define RECORD_KINDS(X)                                                                            \
	X(SAID, said, "cf0e02f2cbe4411aa749d79c51177583", LOG_INFO, TRANSCRIPT)                    \
	X(OPENED, opened, "8ea3cb1bb761426182e81b8c80d85fb0", LOG_INFO, INFORMATIVE)               \
	X(CLOSED, closed, "86c9a419d68946d48e4101f407c24d86", LOG_INFO, ESSENTIAL)                 \
	X(REFUSED, refused, "59610ffc9faf471e91025713e03ed40e", LOG_NOTICE, ESSENTIAL)             \
	X(READY, ready, "469223902a0a42348131e75fcda3d7fd", LOG_INFO, ESSENTIAL)                   \
	X(STOPPING, stopping, "8eb38ca70b9a4e4983590948265c6252", LOG_INFO, ESSENTIAL)             \
	X(STOPPED, stopped, "fb0ede3313704e64ae5cd4c6e9d02202", LOG_INFO, ESSENTIAL)               \
	X(RELOADED, reloaded, "8ffd9218489f4999bad2069263fad18c", LOG_NOTICE, ESSENTIAL)           \
	X(RELOAD_FAILED, reload_failed, "110efb24f05949b4b4d45a81137029db", LOG_ERR, ESSENTIAL)    \
	X(SHORTAGE, shortage, "448a32e080444608a82e856d5cf070a7", LOG_WARNING, ESSENTIAL)          \
	X(RECOVERED, recovered, "62cf286c158c47889fbaabcc50994a1f", LOG_NOTICE, ESSENTIAL)         \
	X(STUCK, stuck, "d941681500f5423d9d460ed0d147c873", LOG_CRIT, ESSENTIAL)                   \
	X(DROPPED, dropped, "1e7e2da3d8ea469086fafe48218cd22d", LOG_WARNING, ESSENTIAL)            \
	X(TROUBLE, trouble, "73bf01a7155943ff9184f2992ac9e632", LOG_ERR, ESSENTIAL)                \
	X(NOTICE, notice, "5e209360503f4592b386e3e217774092", LOG_NOTICE, INFORMATIVE)             \
	X(HANDOVER, handover, "b4cd91107b5840bdbf89c0f66dd898ca", LOG_INFO, ESSENTIAL)             \
	X(RESUMED, resumed, "6c96d70a1fd04c1aa14f27ec73b6547c", LOG_INFO, ESSENTIAL)               \
	X(NOT_CARRIED, not_carried, "dafeda1301c34a3283724bdd692bb541", LOG_WARNING, ESSENTIAL)    \
	X(RESPONDER_LOG, responder_log, "3d076b8ca7524d0395622103e121c126", LOG_INFO, INFORMATIVE) \
	X(UNANSWERED, unanswered, "7bfda978aad249d39aa7d4cb9502930d", LOG_NOTICE, INFORMATIVE)     \
	X(RULE_STOPPED, rule_stopped, "62aa48ca5f0e4ebeb89f1d8bfa680c13", LOG_WARNING, ESSENTIAL)  \
	X(OVERFLOW, overflow, "7e9a478183c447ca81ddc6c200ef97ee", LOG_NOTICE, INFORMATIVE)         \
	X(SWITCHED, switched, "e8db6c5caf05438e8c9114659576c0c3", LOG_INFO, INFORMATIVE)           \
	X(ORDER_REFUSED, order_refused, "472949479d16465aa36eea066d3a22db", LOG_NOTICE, INFORMATIVE)

#define RECORD_ENUM(NAME, name, id, priority, class) RECORD_##NAME,
enum record_kind {
	RECORD_KINDS(RECORD_ENUM) RECORD_KIND_COUNT
};
#undef RECORD_ENUM
