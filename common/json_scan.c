/* A tokenizer for JSON (RFC 8259) and a syntax check on top of it. It keeps no values. */
#include "common/json_scan.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define QUOTE_BYTES 32 /* at most so much of a text is repeated in a message */

/* ---- Tokens ------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.' || c == '+' || c == '-';
}

/* The character at an offset, NUL behind the end (and for a NUL in the text). */
static char peek(const uap_json_scan *scan, size_t at)
{
    return at < scan->n ? scan->text[at] : '\0';
}

static size_t skip_digits(const uap_json_scan *scan, size_t at)
{
    while (is_digit(peek(scan, at))) {
        at++;
    }
    return at;
}

/* The end of the number at `at`, or `at` itself where the grammar is broken. */
static size_t number_end(const uap_json_scan *scan, size_t at)
{
    const size_t start = at;
    at += peek(scan, at) == '-';
    if (!is_digit(peek(scan, at))) {
        return start;
    }
    at = peek(scan, at) == '0' ? at + 1 : skip_digits(scan, at);
    if (peek(scan, at) == '.') {
        if (!is_digit(peek(scan, at + 1))) {
            return start;
        }
        at = skip_digits(scan, at + 1);
    }
    if (peek(scan, at) == 'e' || peek(scan, at) == 'E') {
        at += peek(scan, at + 1) == '+' || peek(scan, at + 1) == '-' ? 2 : 1;
        if (!is_digit(peek(scan, at))) {
            return start;
        }
        at = skip_digits(scan, at);
    }
    return at;
}

static uap_json_token scan_word(const uap_json_scan *scan)
{
    uap_json_token token = {.kind = UAP_TOKEN_BAD, .start = scan->at, .end = scan->at};
    while (is_word(peek(scan, token.end))) {
        token.end++;
    }
    const char *word = scan->text + token.start;
    const size_t n = token.end - token.start;
    if (is_digit(word[0]) || word[0] == '-') {
        const bool valid = number_end(scan, token.start) == token.end;
        token.kind = valid ? UAP_TOKEN_NUMBER : UAP_TOKEN_BAD;
    } else if ((n == 4 &&
                (memcmp(word, "true", 4) == 0 || memcmp(word, "null", 4) == 0)) ||
               (n == 5 && memcmp(word, "false", 5) == 0)) {
        token.kind = UAP_TOKEN_WORD;
    } else if (n == 0) {
        token.end++; /* a character that begins nothing */
    }
    return token;
}

/* The code unit of the escape \uXXXX at `at`, or -1 where it is none. */
static int unicode_escape(const uap_json_scan *scan, size_t at)
{
    static const char digits[] = "0123456789abcdef";
    int unit = 0;
    if (peek(scan, at) != '\\' || peek(scan, at + 1) != 'u') {
        return -1;
    }
    for (size_t i = 2; i < 6; i++) {
        const char c = peek(scan, at + i);
        const char *digit =
            c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
        if (digit == NULL) {
            return -1;
        }
        unit = unit * 16 + (int)(digit - digits);
    }
    return unit;
}

/* Bytes of the escape at `at` (a backslash), or 0 where it is none. Surrogates are legal
 * in pairs only. */
static size_t escape_bytes(const uap_json_scan *scan, size_t at)
{
    const char c = peek(scan, at + 1);
    if (c != '\0' && strchr("\"\\/bfnrt", c) != NULL) {
        return 2;
    }
    const int unit = unicode_escape(scan, at);
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        const int low = unicode_escape(scan, at + 6);
        return low >= 0xDC00 && low <= 0xDFFF ? 12 : 0;
    }
    return unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF) ? 0 : 6;
}

static uap_json_token scan_string(const uap_json_scan *scan)
{
    const size_t start = scan->at;
    size_t at = start + 1;
    while (at < scan->n && scan->text[at] != '"') {
        if ((unsigned char)scan->text[at] < 0x20) {
            return (uap_json_token){UAP_TOKEN_BAD, at, at + 1,
                                    "a control character inside a string"};
        }
        const size_t step = scan->text[at] == '\\' ? escape_bytes(scan, at) : 1;
        if (step == 0 && at + 1 < scan->n) {
            return (uap_json_token){UAP_TOKEN_BAD, at, at + 2,
                                    "an invalid escape inside a string"};
        }
        at += step == 0 ? 1 : step;
    }
    if (at >= scan->n) {
        return (uap_json_token){UAP_TOKEN_BAD, start, scan->n,
                                "a string without its closing quote"};
    }
    return (uap_json_token){UAP_TOKEN_STRING, start, at + 1, NULL};
}

uap_json_token uap_json_next(uap_json_scan *scan)
{
    static const char marks[] = "{}[]:,"; /* in the order of the enumerators */
    while (scan->at < scan->n) {
        const char c = scan->text[scan->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            break;
        }
        scan->at++;
    }
    const size_t at = scan->at;
    if (at >= scan->n) {
        return (uap_json_token){UAP_TOKEN_END, scan->n, scan->n, NULL};
    }
    const char c = scan->text[at];
    const char *mark = c != '\0' ? strchr(marks, c) : NULL;
    uap_json_token token;
    if (mark != NULL) {
        token = (uap_json_token){
            (uap_json_token_kind)((int)UAP_TOKEN_OPEN_OBJECT + (int)(mark - marks)), at,
            at + 1, NULL};
    } else {
        token = c == '"' ? scan_string(scan) : scan_word(scan);
    }
    scan->at = token.end;
    return token;
}

size_t uap_json_skip(uap_json_scan *scan)
{
    uap_json_token token = uap_json_next(scan);
    const size_t start = token.start;
    int depth = 0;
    while (token.kind != UAP_TOKEN_END) {
        depth +=
            token.kind == UAP_TOKEN_OPEN_OBJECT || token.kind == UAP_TOKEN_OPEN_ARRAY;
        depth -=
            token.kind == UAP_TOKEN_CLOSE_OBJECT || token.kind == UAP_TOKEN_CLOSE_ARRAY;
        if (depth <= 0) {
            break;
        }
        token = uap_json_next(scan);
    }
    return start;
}

/* ---- Places ------------------------------------------------------------------------ */

uap_json_place uap_json_place_of(const char *text, size_t offset)
{
    uap_json_place place = {1, 1};
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)text[i] & 0xC0u) != 0x80u) {
            place.column++; /* not a continuation byte of UTF-8 */
        }
    }
    return place;
}

size_t uap_json_token_start(const char *text, size_t n, size_t offset)
{
    uap_json_scan scan = {text, n, 0};
    uap_json_token token = uap_json_next(&scan);
    while (token.kind != UAP_TOKEN_END && token.end < offset) {
        token = uap_json_next(&scan);
    }
    return token.start;
}

/* ---- Syntax ------------------------------------------------------------------------ */

/* What may come next. */
typedef enum expectation {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_CLOSE, /* after [ */
    EXPECT_KEY,            /* after , in an object */
    EXPECT_KEY_OR_CLOSE,   /* after { */
    EXPECT_COLON,
    EXPECT_COMMA_OR_CLOSE,
    EXPECT_END
} expectation;

typedef struct checker {
    const char *name;
    uap_json_scan scan;
    expectation expect;
    int depth;
    bool in_object[UAP_JSON_MAX_DEPTH]; /* of the open containers */
} checker;

static const char *expected_text(const checker *check)
{
    const bool object = check->depth > 0 && check->in_object[check->depth - 1];
    switch (check->expect) {
    case EXPECT_VALUE:
        return "a value";
    case EXPECT_VALUE_OR_CLOSE:
        return "a value or ']'";
    case EXPECT_KEY:
        return "a key in double quotes";
    case EXPECT_KEY_OR_CLOSE:
        return "a key in double quotes or '}'";
    case EXPECT_COLON:
        return "':'";
    case EXPECT_COMMA_OR_CLOSE:
        return object ? "',' or '}'" : "',' or ']'";
    case EXPECT_END:
        break;
    }
    return "the end of the file";
}

/* Writes what a token is, in words, to buffer and returns it. */
static const char *found_text(const checker *check, const uap_json_token *token,
                              char *buffer, size_t n)
{
    const unsigned char c = (unsigned char)peek(&check->scan, token->start);
    const size_t bytes = token->end - token->start;
    if (token->kind == UAP_TOKEN_END) {
        return check->scan.n == 0 ? "an empty file" : "the end of the file";
    }
    if (token->fault != NULL) {
        return token->fault;
    }
    if (c < 0x20 || c >= 0x7F) {
        (void)snprintf(buffer, n, "byte 0x%02X", c);
    } else if (bytes > QUOTE_BYTES) {
        (void)snprintf(buffer, n, "'%.*s...'", QUOTE_BYTES,
                       check->scan.text + token->start);
    } else {
        (void)snprintf(buffer, n, "'%.*s'", (int)bytes, check->scan.text + token->start);
    }
    return buffer;
}

static uap_status refuse(const checker *check, const uap_json_token *token, uap_err *err)
{
    char buffer[QUOTE_BYTES + 16];
    const uap_json_place at = uap_json_place_of(check->scan.text, token->start);
    return UAP_FAIL(err, BAD_INPUT, "%s:%zu:%zu: found %s, expected %s", check->name,
                    at.line, at.column, found_text(check, token, buffer, sizeof buffer),
                    token->fault != NULL ? "a valid string" : expected_text(check));
}

static void value_ended(checker *check)
{
    check->expect = check->depth > 0 ? EXPECT_COMMA_OR_CLOSE : EXPECT_END;
}

static uap_status open_container(checker *check, const uap_json_token *token,
                                 uap_err *err)
{
    if (check->depth == UAP_JSON_MAX_DEPTH) {
        const uap_json_place at = uap_json_place_of(check->scan.text, token->start);
        return UAP_FAIL(err, BAD_INPUT,
                        "%s:%zu:%zu: found nesting deeper than %d levels, expected at "
                        "most %d",
                        check->name, at.line, at.column, UAP_JSON_MAX_DEPTH,
                        UAP_JSON_MAX_DEPTH);
    }
    const bool object = token->kind == UAP_TOKEN_OPEN_OBJECT;
    check->in_object[check->depth++] = object;
    check->expect = object ? EXPECT_KEY_OR_CLOSE : EXPECT_VALUE_OR_CLOSE;
    return UAP_OK;
}

/* True when the token closes the innermost container at a legal place. */
static bool closes(const checker *check, const uap_json_token *token)
{
    if (check->depth == 0) {
        return false;
    }
    const bool object = check->in_object[check->depth - 1];
    const bool legal = check->expect == EXPECT_COMMA_OR_CLOSE ||
                       check->expect == EXPECT_VALUE_OR_CLOSE ||
                       check->expect == EXPECT_KEY_OR_CLOSE;
    return legal &&
           token->kind == (object ? UAP_TOKEN_CLOSE_OBJECT : UAP_TOKEN_CLOSE_ARRAY);
}

static uap_status check_token(checker *check, const uap_json_token *token, uap_err *err)
{
    const bool wants_value =
        check->expect == EXPECT_VALUE || check->expect == EXPECT_VALUE_OR_CLOSE;
    const bool wants_key =
        check->expect == EXPECT_KEY || check->expect == EXPECT_KEY_OR_CLOSE;
    const bool scalar = token->kind == UAP_TOKEN_STRING ||
                        token->kind == UAP_TOKEN_NUMBER || token->kind == UAP_TOKEN_WORD;
    if (closes(check, token)) {
        check->depth--;
        value_ended(check);
    } else if (wants_value && scalar) {
        value_ended(check);
    } else if (wants_value && (token->kind == UAP_TOKEN_OPEN_OBJECT ||
                               token->kind == UAP_TOKEN_OPEN_ARRAY)) {
        return open_container(check, token, err);
    } else if (wants_key && token->kind == UAP_TOKEN_STRING) {
        check->expect = EXPECT_COLON;
    } else if (check->expect == EXPECT_COLON && token->kind == UAP_TOKEN_COLON) {
        check->expect = EXPECT_VALUE;
    } else if (check->expect == EXPECT_COMMA_OR_CLOSE && token->kind == UAP_TOKEN_COMMA) {
        check->expect = check->in_object[check->depth - 1] ? EXPECT_KEY : EXPECT_VALUE;
    } else {
        return refuse(check, token, err);
    }
    return UAP_OK;
}

uap_status uap_json_check(const char *name, const char *text, size_t n, uap_err *err)
{
    checker check = {.name = name, .scan = {text, n, 0}, .expect = EXPECT_VALUE};
    uap_status rc = UAP_OK;
    while (rc == UAP_OK) {
        const uap_json_token token = uap_json_next(&check.scan);
        if (token.kind == UAP_TOKEN_END && check.expect == EXPECT_END) {
            break;
        }
        rc = check_token(&check, &token, err);
    }
    return rc;
}
