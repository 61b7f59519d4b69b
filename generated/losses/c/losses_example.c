/* Example of losses.c: trains on a table of numbers, one line for each sample, and says how well.

   usage: losses_example data.csv [epochs [rate [start.bin [end.bin]]]]

   columns 1 to 6: X
   columns 7 to 9: Y_v
   columns 10 to 12: Y_d
   columns 13 to 15: Y_s (signs)
   columns 16 to 18: Y_b (binary)
   Numbers are separated by commas, semicolons or blanks. Empty lines, what follows a #, and a first line of names are left
   out. Samples are taken in the order of the file, 16 in a step; the file is read again for each epoch.
   What is left at the end of the file and does not fill a step is not used.

   start.bin and end.bin are the parameters before and after: 164 numbers of 8 bytes (IEEE 754, the lowest byte
   first), in the order of losses_params_to_flat; "-" stands for none. Without start.bin, losses_init makes them. */
#include "losses.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 16u
#define COLUMNS 18u
#define NUMBER_BYTES 8u

static losses_params params;
static losses_inputs inputs;
static losses_cache cache;
static losses_predictions predictions;
static double flat_predictions[256];
static double flat_params[164];
static double flat_inputs[288];
static double line[COLUMNS];

/* Where the numbers of a line go in the flat inputs: so many members of so many entries, and how far apart. */
static const struct {
    size_t start, members, count, member_step, entry_step, sample_step;
} columns[] = {
    {0, 1, 6, 96, 16, 1},   /* X */
    {96, 1, 3, 48, 16, 1},   /* Y_v */
    {144, 1, 3, 48, 16, 1},   /* Y_d */
    {192, 1, 3, 48, 16, 1},   /* Y_s */
    {240, 1, 3, 48, 16, 1},   /* Y_b */
};

/* ---- reading numbers ---- */

enum token { NUMBER, END_OF_LINE, END_OF_FILE, FAULT };

static enum token next_number(FILE *file, double *value)
{
    char text[64];
    size_t length = 0u;
    char *end = text;
    int c = getc(file);
    while (c == ' ' || c == '\t' || c == '\r' || c == ',' || c == ';') {
        c = getc(file);
    }
    if (c == '#') {
        while (c != '\n' && c != EOF) {
            c = getc(file);
        }
    }
    if (c == EOF) {
        return END_OF_FILE;
    }
    if (c == '\n') {
        return END_OF_LINE;
    }
    while (c != EOF && strchr(" \t\r\n,;#", c) == NULL && length + 1u < sizeof text) {
        text[length] = (char)c;
        ++length;
        c = getc(file);
    }
    text[length] = '\0';
    if (c != EOF) {
        (void)ungetc(c, file);
    }
    *value = strtod(text, &end);
    return (end == text || *end != '\0') ? FAULT : NUMBER;
}

static void skip_line(FILE *file)
{
    int c = getc(file);
    while (c != '\n' && c != EOF) {
        c = getc(file);
    }
}

/* Read a line that has numbers: 1, or 0 at the end of the file, or -1 if it is not as it should be. */
static int read_line(FILE *file, unsigned long *number)
{
    size_t found = 0u;
    for (;;) {
        double value = 0;
        const enum token token = next_number(file, &value);
        if (token == NUMBER) {
            if (found < COLUMNS) {
                line[found] = value;
            }
            ++found;
        } else if (token == FAULT) {
            if (*number == 1u && found == 0u) {
                skip_line(file);   /* names of the columns */
                ++*number;
            } else {
                fprintf(stderr, "line %lu: what follows number %lu is no number\n", *number, (unsigned long)found);
                return -1;
            }
        } else if (found > 0u) {
            if (found != COLUMNS) {
                fprintf(stderr, "line %lu: %lu numbers, not %lu\n", *number, (unsigned long)found, (unsigned long)COLUMNS);
                return -1;
            }
            ++*number;
            return 1;
        } else if (token == END_OF_FILE) {
            return 0;
        } else {
            ++*number;
        }
    }
}

/* Fill the inputs of one step: how many samples there are, 0 at the end of the file, -1 for a faulty line. */
static int read_batch(FILE *file, unsigned long *number)
{
    size_t sample = 0u;
    while (sample < BATCH) {
        const double *from = line;
        const int found = read_line(file, number);
        if (found < 0) {
            return -1;
        }
        if (found == 0) {
            break;
        }
        for (size_t k = 0u; k < sizeof columns / sizeof columns[0]; ++k) {
            for (size_t member = 0u; member < columns[k].members; ++member) {
                const size_t start = columns[k].start + member * columns[k].member_step + sample * columns[k].sample_step;
                for (size_t i = 0u; i < columns[k].count; ++i) {
                    flat_inputs[start + i * columns[k].entry_step] = (double)*from;
                    ++from;
                }
            }
        }
        ++sample;
    }
    if (sample < BATCH) {
        sample = 0u;
    }
    losses_inputs_from_flat(&inputs, flat_inputs);
    return (int)sample;
}

/* ---- parameters in files: IEEE 754, the lowest byte first ---- */

static int read_params(const char *path)
{
    FILE *const file = fopen(path, "rb");
    int fine = file != NULL;
    for (size_t i = 0u; fine && i < sizeof flat_params / sizeof flat_params[0]; ++i) {
        unsigned char bytes[NUMBER_BYTES];
        uint64_t bits = 0u;
        fine = fread(bytes, 1u, sizeof bytes, file) == sizeof bytes;
        for (size_t k = NUMBER_BYTES; fine && k > 0u; --k) {
            bits = bits << 8 | bytes[k - 1u];
        }
        memcpy(&flat_params[i], &bits, sizeof bits);
    }
    fine = fine && getc(file) == EOF;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (fine) {
        losses_params_from_flat(&params, flat_params);
    } else {
        fprintf(stderr, "%s: not 164 numbers of 8 bytes\n", path);
    }
    return fine;
}

static int write_params(const char *path)
{
    FILE *const file = fopen(path, "wb");
    int fine = file != NULL;
    losses_params_to_flat(&params, flat_params);
    for (size_t i = 0u; fine && i < sizeof flat_params / sizeof flat_params[0]; ++i) {
        unsigned char bytes[NUMBER_BYTES];
        uint64_t bits;
        memcpy(&bits, &flat_params[i], sizeof bits);
        for (size_t k = 0u; k < NUMBER_BYTES; ++k) {
            bytes[k] = (unsigned char)(bits >> (8u * k) & 255u);
        }
        fine = fwrite(bytes, 1u, sizeof bytes, file) == sizeof bytes;
    }
    if (file != NULL) {
        fine = (fclose(file) == 0) && fine;
    }
    if (!fine) {
        fprintf(stderr, "%s cannot be written\n", path);
    }
    return fine;
}

/* ---- training ---- */

/* Count the right answers of a step: L0_loss is above 0.5 where the target is one. */
static void count_answers(size_t samples, unsigned long *right, unsigned long *all)
{
    losses_predict(&params, &inputs, &predictions);
    losses_predictions_to_flat(&predictions, flat_predictions);
    for (size_t member = 0u; member < 1u; ++member) {
        for (size_t sample = 0u; sample < samples; ++sample) {
            const size_t place = member * 48u + sample * 1u;
            const double *const answer = &flat_predictions[208u + place];
            const double *const wanted = &flat_inputs[240u + place];
            for (size_t i = 0u; i < 3u; ++i) {
                const int above = answer[i * 16u] > 0.5;
                *right += above == (wanted[i * 16u] > 0.5) ? 1u : 0u;
                ++*all;
            }
        }
    }
}

/* Go through the file once, with steps of length rate or, if it is 0, without: the mean of loss; negative rates are
   not used. Returns 0 if the file is not as it should be. */
static int epoch(FILE *file, double rate, double *mean, unsigned long *right, unsigned long *all)
{
    unsigned long number = 1u;
    unsigned long steps = 0u;
    double sum = 0;
    rewind(file);
    for (;;) {
        const int samples = read_batch(file, &number);
        if (samples < 0) {
            return 0;
        }
        if (samples == 0) {
            break;
        }
        if (rate > 0) {
            sum += (double)losses_train_step(&params, &inputs, rate);
        } else {
            sum += (double)losses_forward(&params, &inputs, &cache);
            count_answers((size_t)samples, right, all);
        }
        ++steps;
    }
    if (steps == 0u) {
        fprintf(stderr, "there are fewer lines than the %u of a step\n", BATCH);
        return 0;
    }
    *mean = sum / (double)steps;
    return 1;
}

int main(int argc, char **argv)
{
    const unsigned long epochs = argc > 2 ? strtoul(argv[2], NULL, 10) : 100u;
    const double rate = argc > 3 ? (double)strtod(argv[3], NULL) : 0.1;
    double loss = 0;
    int fine = 1;
    FILE *file;
    unsigned long right = 0u;
    unsigned long all = 0u;

    if (argc < 2 || argc > 6 || !(rate > 0)) {
        fprintf(stderr, "usage: losses_example data.csv [epochs [rate [start.bin [end.bin]]]]\n");
        return 2;
    }
    file = fopen(argv[1], "r");
    if (file == NULL) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 2;
    }
    if (argc > 4 && strcmp(argv[4], "-") != 0) {
        fine = read_params(argv[4]);
    } else {
        losses_init(&params, 1u);
    }
    for (unsigned long k = 1u; fine && k <= epochs; ++k) {
        fine = epoch(file, rate, &loss, &right, &all);
        if (fine && (k <= 10u || k % 10u == 0u || k == epochs)) {
            printf("epoch %6lu   loss %.10g\n", k, loss);
        }
    }
    fine = fine && epoch(file, 0, &loss, &right, &all);
    (void)fclose(file);
    if (!fine) {
        return 1;
    }
    printf("at the end     loss %.10g\n", loss);
    printf("right          %lu of %lu, %.2f %%\n", right, all, 100.0 * (double)right / (double)all);
    if (argc > 5 && strcmp(argv[5], "-") != 0 && !write_params(argv[5])) {
        return 1;
    }
    return isfinite(loss) ? 0 : 1;
}
