/* Failures of the world and of the guest: a code for programs, a text for people.
 *
 * Three kinds of wrong: we are wrong (check() stops the process), the world or the guest is wrong
 * (a function returns an `err` and leaves the story in a `struct diag`). A diag has a fixed size, so
 * that telling what went wrong cannot go wrong. */
#pragma once

#include "base/base.h"

typedef enum err {
    OK = 0,
#define ERR(name, code, text) ERR_##name = code,
#include "base/err.def"
#undef ERR
} err;

struct diag {
    err code;
    char text[1500]; /* UTF-8, always terminated; cut at a character, never inside one */
};

/* The sentence of err.def. */
const char *err_text(err code);

/* Sets code and text; returns the code, so that a refusal is one statement:
 *     return diag_set(diag, ERR_DISK, "%s: %s", path, strerror(errno)); */
err diag_set(struct diag *diag, err code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same of a text at hand, which costs no formatting. */
err diag_put(struct diag *diag, err code, bytes text);

/* Puts a circumstance in front: "opening the log: " + what was there. Returns the code. */
err diag_note(struct diag *diag, const char *format, ...) PRINTF_LIKE(2, 3);

/* For functions that own nothing. */
#define TRY(expression)                     \
    do {                                    \
        const err try_code_ = (expression); \
        if (try_code_ != OK)                \
            return try_code_;               \
    } while (0)
