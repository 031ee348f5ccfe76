/* Unpacks a file that `atoll export --pack` wrote.
 *
 * With liblzma:  cc -O2 -DATOLL_LZMA unpack.c -o unpack -llzma
 * With libzstd:  cc -O2 -DATOLL_ZSTD unpack.c -o unpack -lzstd
 * Both may be given. ./unpack model.tflite.packed model.tflite
 *
 * As a part of another program: -DATOLL_NO_MAIN, then atoll_content_size() and atoll_unpack(). C99; nothing is
 * allocated here (the decoders allocate). The header is described in unpack.py.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef ATOLL_LZMA
#include <lzma.h>
#endif
#ifdef ATOLL_ZSTD
#include <zstd.h>
#endif

#define ATOLL_HEADER_BYTES 64

enum atoll_status {
    ATOLL_OK = 0,
    ATOLL_CUT,       /* fewer or more bytes than the header names */
    ATOLL_NO_MAGIC,  /* no container */
    ATOLL_VERSION,   /* a version that this reader does not know */
    ATOLL_CODEC,     /* a codec that this reader does not know or was not compiled for */
    ATOLL_ROOM,      /* the output has no room */
    ATOLL_DAMAGED    /* the packed bytes do not give the content, or it has another SHA-256 */
};

const char *atoll_message(int status)
{
    static const char *const messages[] = {
        "unpacked",
        "the file is cut: it has other sizes than its header names",
        "no container: a container begins with 89 41 54 4F 4C 4C 0D 0A",
        "a container of another version: this reader knows 1",
        "a codec that this reader was not compiled for: -DATOLL_LZMA and -DATOLL_ZSTD choose them",
        "the content does not fit the room for it",
        "the file is damaged: its content is not what its header names",
    };
    return status >= 0 && status <= ATOLL_DAMAGED ? messages[status] : "unknown status";
}

static uint64_t atoll_number(const uint8_t *bytes, int count)
{
    uint64_t number = 0;
    while (count-- > 0)
        number = number << 8 | bytes[count];
    return number;
}

/* SHA-256, FIPS 180-4 */
static const uint32_t atoll_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t atoll_turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void atoll_sha256_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], v[8];
    int i;
    for (i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (atoll_turn(a, 7) ^ atoll_turn(a, 18) ^ a >> 3) + w[i - 7] +
               (atoll_turn(b, 17) ^ atoll_turn(b, 19) ^ b >> 10);
    }
    memcpy(v, h, sizeof v);
    for (i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t t = v[7] + (atoll_turn(e, 6) ^ atoll_turn(e, 11) ^ atoll_turn(e, 25)) +
                     ((e & v[5]) ^ (~e & v[6])) + atoll_k[i] + w[i];
        uint32_t u = (atoll_turn(a, 2) ^ atoll_turn(a, 13) ^ atoll_turn(a, 22)) +
                     ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t;
        v[0] = t + u;
    }
    for (i = 0; i < 8; i++)
        h[i] += v[i];
}

static void atoll_sha256(const uint8_t *data, uint64_t size, uint8_t digest[32])
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t last[128] = {0};
    uint64_t whole = size / 64 * 64, done;
    size_t rest = (size_t)(size - whole), end = rest < 56 ? 64 : 128;
    int i;
    for (done = 0; done < whole; done += 64)
        atoll_sha256_block(h, data + done);
    memcpy(last, data + whole, rest);
    last[rest] = 0x80;
    for (i = 0; i < 8; i++)
        last[end - 1 - i] = (uint8_t)(size * 8 >> (8 * i));
    atoll_sha256_block(h, last);
    if (end == 128)
        atoll_sha256_block(h, last + 64);
    for (i = 0; i < 32; i++)
        digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* Bytes of the content that a container's header names; 0 where there is no header, or a size that so many packed
 * bytes do not have (the limits of unpack.py: a wrong size must not exhaust the machine). */
uint64_t atoll_content_size(const uint8_t *container, size_t size)
{
    uint64_t named, most;
    if (size < ATOLL_HEADER_BYTES)
        return 0;
    named = atoll_number(container + 16, 8);
    most = (uint64_t)(size - ATOLL_HEADER_BYTES) * 1000;
    if (most < 1 << 24)
        most = 1 << 24;
    return named > most || named > 0x7fffffff ? 0 : named;
}

/* Unpacks a container into `content`, which has room for `room` bytes; returns an atoll_status. */
int atoll_unpack(const uint8_t *container, size_t size, uint8_t *content, size_t room)
{
    static const uint8_t magic[8] = {0x89, 'A', 'T', 'O', 'L', 'L', '\r', '\n'};
    const uint8_t *packed = container + ATOLL_HEADER_BYTES;
    uint64_t content_size, packed_size;
    uint8_t digest[32];
    if (size < ATOLL_HEADER_BYTES)
        return ATOLL_CUT;
    if (memcmp(container, magic, sizeof magic) != 0)
        return ATOLL_NO_MAGIC;
    if (atoll_number(container + 8, 2) != 1)
        return ATOLL_VERSION;
    content_size = atoll_number(container + 16, 8);
    packed_size = atoll_number(container + 24, 8);
    if (packed_size != size - ATOLL_HEADER_BYTES)
        return ATOLL_CUT;
    if (content_size > room)
        return ATOLL_ROOM;
    switch (atoll_number(container + 10, 2)) {
#ifdef ATOLL_LZMA
    case 1: {
        lzma_stream stream = LZMA_STREAM_INIT;
        /* a damaged dictionary size must not exhaust the machine */
        lzma_ret found = lzma_alone_decoder(&stream, 2 * content_size + (1 << 24));
        if (found == LZMA_OK) {
            stream.next_in = packed;
            stream.avail_in = (size_t)packed_size;
            stream.next_out = content;
            stream.avail_out = (size_t)content_size;
            do /* with all bytes out, the mark that ends them may be left */
                found = lzma_code(&stream, LZMA_FINISH);
            while (found == LZMA_OK && stream.avail_in > 0 && stream.avail_out > 0);
        }
        content_size -= stream.avail_out;
        lzma_end(&stream);
        if (found != LZMA_OK && found != LZMA_STREAM_END && found != LZMA_BUF_ERROR)
            return ATOLL_DAMAGED;
        break;
    }
#endif
#ifdef ATOLL_ZSTD
    case 2: {
        size_t found = ZSTD_decompress(content, (size_t)content_size, packed, (size_t)packed_size);
        if (ZSTD_isError(found))
            return ATOLL_DAMAGED;
        content_size = found;
        break;
    }
#endif
    default:
        (void)packed;
        return ATOLL_CODEC;
    }
    if (content_size != atoll_number(container + 16, 8))
        return ATOLL_DAMAGED;
    atoll_sha256(content, content_size, digest);
    return memcmp(digest, container + 32, sizeof digest) == 0 ? ATOLL_OK : ATOLL_DAMAGED;
}

#ifndef ATOLL_NO_MAIN
#include <stdio.h>
#include <stdlib.h>

static uint8_t *atoll_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long end;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) >= 0 && end < 0x7fffffff) {
        rewind(file);
        bytes = malloc((size_t)end + 1);
        *size = bytes == NULL ? 0 : fread(bytes, 1, (size_t)end, file);
    }
    if (file != NULL)
        fclose(file);
    return bytes;
}

int main(int count, char **words)
{
    size_t size = 0;
    uint64_t content_size;
    uint8_t *container, *content;
    FILE *out;
    int status;
    if (count != 3) {
        fprintf(stderr, "usage: %s PACKED OUT\n", words[0]);
        return 2;
    }
    container = atoll_read(words[1], &size);
    if (container == NULL) {
        fprintf(stderr, "%s: cannot be read\n", words[1]);
        return 2;
    }
    content_size = atoll_content_size(container, size);
    content = malloc((size_t)content_size + 1);
    status = content == NULL ? ATOLL_ROOM : atoll_unpack(container, size, content, (size_t)content_size);
    if (status != ATOLL_OK) {
        fprintf(stderr, "%s: %s\n", words[1], atoll_message(status));
        return 2;
    }
    out = fopen(words[2], "wb");
    if (out == NULL || fwrite(content, 1, (size_t)content_size, out) != content_size || fclose(out) != 0) {
        fprintf(stderr, "%s: cannot be written\n", words[2]);
        return 2;
    }
    free(content);
    free(container);
    return 0;
}
#endif
