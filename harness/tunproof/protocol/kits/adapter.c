// An adapter for tunproof, for C11 on Linux. Copy this file, delete the part from "example begin" to
// "example end", and call serve() from your main: cc -O2 -o adapter adapter.c && tunproof check -- ./adapter
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Write a function for each op that you have. It takes what it needs from the input, and reports the result:
//     checksum     data, initial                      fprintf(result, "\"sum\":%u", sum)
//     header       direction (parse or emit), size,   fprintf(result, "\"fields\":{...}", ...), or
//                  byte_order, bytes or fields        fputs("\"bytes\":", result), print_hex(header)
//     read         frame                              give(packet) for each packet
//     write        packet, poison (hex, or null)      give(frame) for each frame
//     write_gso    hdr, transport_hdr, pays (a list)  the same
//     write_batch  packets (a list), poison           the same
// It may set `detail` and return REJECTED; what it gave came out anyway. In modes other than memory,
// frames go through an fd: "attach" (mode, fd, name as in sscanf(name, "\"%15[^\"]", text)) is called first,
// and "read_some" replaces "read" until the runner's last packet is given. Writes then give nothing.
typedef const char *value; // JSON, where it stands in the request
typedef enum { OK, REJECTED, UNSUPPORTED, FAILED } status; // REJECTED: an ordinary error, nothing else
typedef struct { const char *op; status (*call)(value input); } operation; // the last one is {NULL, NULL}
typedef struct { uint8_t *data; size_t size; } bytes;

static FILE *replies, *result; // to the runner; of this run
static const char *detail;     // why it was rejected, or failed
static bytes sentinel;         // none in mode memory
static int given, sentinel_seen;

static _Noreturn void die(const char *what) { // no reply is better than a wrong one
    fprintf(stderr, "adapter: not understood: %s\n", what);
    _exit(1);
}

// Reading JSON. Iterate over a list with `for EACH(item, list)`. Strings that matter have no escapes.
#define BLANK " \t\r\n"
#define EACH(item, list) (value item = past(list, '['); *item != ']'; item = next(item))

static value past(value at, char wanted) {
    if (!at || *at != wanted) die("no JSON, or something is not there");
    return at + 1 + strspn(at + 1, BLANK);
}
static value skip(value at) { // one value and the white space after it
    int depth = 0;
    do {
        if (*at == '"')
            while (*++at && *at != '"') at += *at == '\\' && at[1];
        if (!*at) die("half a line");
        depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        size_t word = strcspn(at, BLANK ",:{}[]\""); // such as a number
        at += word ? word : 1;
        at += strspn(at, BLANK);
    } while (depth > 0);
    return at;
}
static value next(value at) { // to the next item in an object or a list, or to its end
    at = skip(at);
    return *at == '}' || *at == ']' ? at : past(at, ',');
}
static int is(value string, const char *text) {
    size_t length = strlen(text);
    return string && *string == '"' && !strncmp(string + 1, text, length) && string[1 + length] == '"';
}
static value get(value object, const char *key) { // NULL: missing, or null
    for (value member, at = past(object, '{'); *at != '}'; at = next(member)) {
        member = past(skip(at), ':');
        if (is(at, key)) return *member == 'n' ? NULL : member;
    }
    return NULL;
}
static long long number(value at) {
    if (!at || !strspn(at, "-0123456789")) die("no number");
    return strtoll(at, NULL, 10);
}
static bytes from_hex(value string) { // yours to free; -fsanitize=address sees a read past its end
    static const char hex[] = "0123456789abcdef";
    size_t digits = strspn(past(string, '"'), hex);
    bytes made = {calloc(digits / 2, 1), digits / 2};
    if (!made.data || digits % 2 || string[1 + digits] != '"') die("no hex");
    for (size_t i = 0; i < digits; i++)
        made.data[i / 2] |= (uint8_t)((strchr(hex, string[1 + i]) - hex) << (i % 2 ? 0 : 4));
    return made;
}

static void print_hex(bytes all) {
    putc('"', result);
    for (size_t i = 0; i < all.size; i++) fprintf(result, "%02x", all.data[i]);
    putc('"', result);
}
static inline void give(bytes one) {
    int last = sentinel.data && one.size == sentinel.size && !memcmp(one.data, sentinel.data, one.size);
    if (!last && given++) putc(',', result);
    if (!last) print_hex(one);
    sentinel_seen |= last;
}

static status call(const operation *one, value op, value input) {
    while (one->op && !is(op, one->op)) one++;
    return one->op ? one->call(input) : UNSUPPORTED;
}

static void run(const operation *operations, value asked) {
    static const char *const words[] =
        {"ok", "rejected\",\"detail\":\"", "unsupported\",\"what\":\"", "error\",\"detail\":\""};
    value op = get(asked, "op"), input = get(asked, "input");
    int attached = !!sentinel.data, reads = is(op, "read"), writes = !strncmp(past(op, '"'), "write", 5);
    status how = OK;
    char *said;
    size_t length;
    if (!(result = open_memstream(&said, &length))) die("no memory");
    given = sentinel_seen = 0;
    detail = "no detail";
    do {
        status one = call(operations, reads && attached ? "\"read_some\"" : op, input);
        how = one > how ? one : how;
    } while (reads && attached && !sentinel_seen && how <= REJECTED);
    fclose(result);
    fprintf(replies, "{\"id\":%lld,\"status\":\"%s", number(get(asked, "id")), words[how]);
    for (const char *at = how == OK ? "" : detail; *at; at++)
        fprintf(replies, *at == '"' || *at == '\\' || (uint8_t)*at < ' ' ? "\\u%04x" : "%c", (uint8_t)*at);
    if (how <= REJECTED && (reads || (writes && !attached)))
        fprintf(replies, "\",\"%s\":[%s]}", reads ? "packets" : "frames", said);
    else
        fprintf(replies, how == OK && length ? "\",%s}" : "\"}", said);
    free(said);
}

// Talks to tunproof until it says bye; `about` is the reply to hello. Anything printed goes to the log.
int serve(const char *about, const operation *operations) {
    static char *line;
    replies = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "w");
    if (!replies || dup2(2, 1) < 0) die("standard output");
    for (size_t size = 0; getline(&line, &size, stdin) > 0; fflush(replies)) {
        value asked = line + strspn(line, BLANK), cmd = get(asked, "cmd"), to = get(asked, "attach");
        if (*skip(asked)) die("more than one value");
        if (is(cmd, "bye")) break;
        if (is(cmd, "hello")) {
            if (to && call(operations, "\"attach\"", to) != OK) die("attach");
            if (to) sentinel = from_hex(get(to, "sentinel"));
            fputs(about, replies);
        } else if (is(cmd, "run")) {
            run(operations, asked);
        } else {
            if (!is(cmd, "batch")) die("no such cmd");
            fputs("{\"results\":[", replies);
            for EACH(one, get(asked, "runs")) {
                run(operations, one);
                if (*next(one) != ']') putc(',', replies);
            }
            fputs("]}", replies);
        }
        putc('\n', replies);
    }
    return 0;
}

// example begin: it sums bytes, and parses and builds vnet headers
static status checksum(value in) {
    bytes all = from_hex(get(in, "data"));
    uint64_t sum = (uint64_t)number(get(in, "initial"));
    for (size_t i = 0; i < all.size; i++) sum += (uint64_t)all.data[i] << (i % 2 ? 0 : 8);
    while (sum >> 16) sum = (sum >> 16) + (sum & 0xffff);
    fprintf(result, "\"sum\":%u", (unsigned)sum);
    free(all.data);
    return OK;
}

static status header(value in) {
    static const char *const names[] =
        {"flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset", "num_buffers"};
    int parse = is(get(in, "direction"), "parse"), little = is(get(in, "byte_order"), "little");
    size_t size = (size_t)number(get(in, "size"));
    bytes from = parse ? from_hex(get(in, "bytes")) : (bytes){NULL, size};
    status how = (size == 10 || size == 12) && size <= from.size ? OK : REJECTED;
    detail = "there is no such header"; // if it is rejected
    for (size_t i = 0; how == OK && i <= size / 2; i++) {
        size_t at = i < 2 ? i : 2 * i - 2; // two fields of one byte, then fields of two
        value wanted = parse ? NULL : get(get(in, "fields"), names[i]);
        unsigned field = wanted ? (unsigned)number(wanted) : 0;
        if (parse) field = i < 2 ? from.data[at] : (unsigned)(from.data[at] << 8 | from.data[at + 1]);
        if (little && i >= 2) field = (field >> 8 | field << 8) & 0xffff;
        if (parse) fprintf(result, "%s\"%s\":%u", i ? "," : "\"fields\":{", names[i], field);
        else fprintf(result, i < 2 ? "%s%02x" : "%s%04x", i ? "" : "\"bytes\":\"", field);
    }
    putc(parse ? '}' : '"', result);
    free(from.data);
    return how;
}

int main(void) {
    static const operation operations[] = {{"checksum", checksum}, {"header", header}, {NULL, NULL}};
    return serve(
        "{\"protocol\":2,\"implementation\":{\"name\":\"example\",\"version\":\"1\",\"language\":\"C\"},"
        "\"ops\":[\"checksum\",\"header\"],\"modes\":[\"memory\"],\"capabilities\":[\"header.parse\","
        "\"header.emit\",\"header.12\",\"header.big-endian\"],"
        "\"claims\":{"  // what your code was written for: cases outside of it are not run
        "\"offloads\":[\"CSUM\",\"TSO4\",\"TSO6\",\"USO4\",\"USO6\"],"  // what it asks TUNSETOFFLOAD for
        "\"trust\":\"kernel\","  // whose frames it reads: its own kernel's, or "anyone"'s
        "\"validates\":false,"  // write_gso checks what is its caller's duty
        "\"limits\":{},"  // what it documents: segments, packets, fragments, bytes
        "\"headerSizes\":[10,12],"  // bytes of vnet header that its functions take
        "\"rejectsEmpty\":false}}",  // an empty packet is an error
        operations);
}
// example end
