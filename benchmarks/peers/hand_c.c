/* A network with one hidden layer, by hand: N0-N1-N2, batch M, sizes and functions fixed by macros.
   W2 is kept transposed, so that every product but the output's has the hidden units in its lanes. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
enum { NATIVE = 16 };
#else
enum { NATIVE = 8 };
#endif
#define LANES (N1 % 16 == 0 && NATIVE == 16 ? 16 : N1 % 8 == 0 ? 8 : 4)
#define P2 (N2 == 1 ? 1 : N2 <= 4 ? 4 : 16) /* outputs, padded to a vector */
#define MR (NATIVE == 16 ? 8 : 6)             /* rows of a tile */
#define NV (M == 1 ? (N1 / LANES < 8 ? N1 / LANES : 8) : N1 / LANES < 2 ? 1 : 2) /* vectors in a row of a tile */
#define DOTS (M < 8 && N1 >= 32)
#define HOT static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define LINE __attribute__((aligned(64)))

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef struct { float W1[N0][N1] LINE, b1[N1] LINE, W2[N2][N1] LINE, b2[P2] LINE; } net_params;
typedef struct { float X[M][N0] LINE, Y[M][P2] LINE; } net_inputs;
typedef enum { BIAS, SLOPE, UPDATE } after_t; /* what becomes of a product */

/* tanh as a rational function of degree 13/6, to 5 units in the last place */
HOT float tanh_(float x) {
    x = fminf(fmaxf(x, -7.90531110763549805f), 7.90531110763549805f);
    float s = x * x;
    float p = ((((((-2.76076847742355e-16f * s + 2.00018790482477e-13f) * s - 8.60467152213735e-11f) * s
        + 5.12229709037114e-08f) * s + 1.48572235717979e-05f) * s + 6.37261928875436e-04f) * s + 4.89352455891786e-03f);
    float q = ((1.19825839466702e-06f * s + 1.18534705686654e-04f) * s + 2.26843463243900e-03f) * s
        + 4.89352518554385e-03f;
    return x * p / q;
}

/* exp of numbers that are not above 0, to 3 units in the last place: 2^n times a polynomial */
HOT float exp_(float x) {
    x = fmaxf(x, -87);
    float n = rintf(x * 1.44269504f), f = (x - n * 0.693145752f) - n * 1.42860677e-6f;
    float p = 1 + f * (1 + f * (1.0f / 2 + f * (1.0f / 6 + f * (1.0f / 24 + f * (1.0f / 120 + f * (1.0f / 720))))));
    union { int bits; float value; } power = {.bits = ((int)n + 127) << 23};
    return p * power.value;
}

/* A tile of C from A (entry i, k at i*si + k*sk) and B (rows of sb floats); other is the bias or the activation. */
HOT void tile(int rows, int nv, int K, const float *A, ptrdiff_t si, ptrdiff_t sk, const float *B, ptrdiff_t sb,
              float *C, ptrdiff_t sc, const float *other, float rate, after_t after) {
    vec acc[16][8];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < nv; v++) acc[i][v] = after == BIAS ? *(const vec *)(other + LANES * v) : (vec){0};
    for (int k = 0; k < K; k++) {
        vec b[8];
        UNROLL for (int v = 0; v < nv; v++) b[v] = *(const vec *)(B + k * sb + LANES * v);
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int v = 0; v < nv; v++) acc[i][v] += A[i * si + k * sk] * b[v];
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < nv; v++) {
            vec *c = (vec *)(C + i * sc + LANES * v);
            if (after == BIAS) *c = acc[i][v];
            if (after == UPDATE) *c -= rate * acc[i][v];
            if (after == SLOPE) {
                vec a = *(const vec *)(other + i * sc + LANES * v);
                if (TANH) *c = acc[i][v] * (1 - a * a);
                else *c = (vec)((ivec)acc[i][v] & (a > 0));
            }
        }
}

/* C of R x N by tiles; the panels of B run inside, so that a block of rows of A stays in the first cache. */
HOT void product(int R, int N, int K, const float *A, ptrdiff_t si, ptrdiff_t sk, const float *B, float *C,
                 const float *other, float rate, after_t after) {
    const int nv = N / LANES < NV ? N / LANES : NV, step = after == BIAS ? 0 : N;
    int i = 0;
    for (; i + MR <= R; i += MR)
        for (int j = 0; j < N; j += nv * LANES)
            tile(MR, nv, K, A + i * si, si, sk, B + j, N, C + i * N + j, N, other + i * step + j, rate, after);
    if (R % MR)
        for (int j = 0; j < N; j += nv * LANES)
            tile(R % MR, nv, K, A + i * si, si, sk, B + j, N, C + i * N + j, N, other + i * step + j, rate, after);
}

/* Turns the outputs Z into error signals; the loss is asked for in the last step of a call. */
HOT float head(float Z[M][P2], const float Y[M][P2], int ask) {
    float loss = 0, *z = Z[0];
    if (P2 == 1) {
        if (ask)
            for (int i = 0; i < M; i++) loss += fmaxf(z[i], 0) + log1pf(expf(-fabsf(z[i]))) - Y[i][0] * z[i];
        for (int i = 0; i < M; i++) z[i] = (0.5f + 0.5f * tanh_(0.5f * z[i]) - Y[i][0]) * (1.0f / M);
        return loss / M;
    }
    float E[M][P2] LINE, *e = E[0];
    for (int i = 0; i < M; i++) {
        float top = Z[i][0];
        for (int j = 1; j < N2; j++) top = fmaxf(top, Z[i][j]);
        for (int j = 0; j < P2; j++) Z[i][j] -= top;
    }
    for (int k = 0; k < M * P2; k++) e[k] = exp_(z[k]);
    for (int i = 0; i < M; i++) {
        float sum = 0;
        for (int j = 0; j < P2; j++) sum += E[i][j];
        if (ask)
            for (int j = 0; j < N2; j++) loss -= Y[i][j] * (Z[i][j] - logf(sum));
        sum = 1 / sum;
        for (int j = 0; j < P2; j++) Z[i][j] = (E[i][j] * sum - Y[i][j]) * (1.0f / M);
    }
    return loss / M;
}

HOT float step(net_params *restrict p, const net_inputs *restrict x, float rate, int ask) {
    static float A[M][N1] LINE, D1[M][N1] LINE, D2[M][P2] LINE, W2[N1][P2] LINE;
    float *a = A[0];
    product(M, N1, N0, x->X[0], N0, 1, p->W1[0], a, p->b1, 0, BIAS);
    for (int k = 0; k < M * N1; k++) a[k] = TANH ? tanh_(a[k]) : fmaxf(a[k], 0);
    if (DOTS)
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N2; j++) {
                float sum = p->b2[j];
                for (int h = 0; h < N1; h++) sum += A[i][h] * p->W2[j][h];
                D2[i][j] = sum;
            }
    else {
        for (int h = 0; h < N1; h++)
            for (int j = 0; j < N2; j++) W2[h][j] = p->W2[j][h];
        if (P2 == 16) product(M, P2, N1, a, N1, 1, W2[0], D2[0], p->b2, 0, BIAS);
        else
            for (int i = 0; i < M; i++) {
                float sum[P2];
                for (int j = 0; j < P2; j++) sum[j] = p->b2[j];
                for (int h = 0; h < N1; h++)
                    for (int j = 0; j < P2; j++) sum[j] += A[i][h] * W2[h][j];
                for (int j = 0; j < P2; j++) D2[i][j] = sum[j];
            }
    }
    if (DOTS)
        for (int i = 0; i < M; i++)
            for (int j = N2; j < P2; j++) D2[i][j] = p->b2[j];
    float loss = head(D2, x->Y, ask);
    product(M, N1, N2, D2[0], P2, 1, p->W2[0], D1[0], a, 0, SLOPE);
    product(N2, N1, M, D2[0], 1, P2, a, p->W2[0], a, rate, UPDATE);
    product(N0, N1, M, x->X[0], 1, N0, D1[0], p->W1[0], a, rate, UPDATE);
    float s1[N1] = {0}, s2[P2] = {0};
    for (int i = 0; i < M; i++) {
        for (int h = 0; h < N1; h++) s1[h] += D1[i][h];
        for (int j = 0; j < P2; j++) s2[j] += D2[i][j];
    }
    for (int h = 0; h < N1; h++) p->b1[h] -= rate * s1[h];
    for (int j = 0; j < N2; j++) p->b2[j] -= rate * s2[j];
    return loss;
}

float net_train(net_params *p, const net_inputs *x, float rate, size_t steps) {
    float loss = 0;
    for (size_t s = 0; s < steps; s++) loss = step(p, x, rate, s + 1 == steps);
    return loss;
}

size_t net_params_bytes(void) { return sizeof(net_params); }
size_t net_inputs_bytes(void) { return sizeof(net_inputs); }

void net_params_from_flat(net_params *p, const float *flat) {
    memcpy(p->W1, flat, sizeof p->W1), flat += N0 * N1;
    memcpy(p->b1, flat, sizeof p->b1), flat += N1;
    for (int h = 0; h < N1; h++)
        for (int j = 0; j < N2; j++) p->W2[j][h] = *flat++;
    for (int j = 0; j < P2; j++) p->b2[j] = j < N2 ? flat[j] : -1e30f;
}

void net_params_to_flat(const net_params *p, float *flat) {
    memcpy(flat, p->W1, sizeof p->W1), flat += N0 * N1;
    memcpy(flat, p->b1, sizeof p->b1), flat += N1;
    for (int h = 0; h < N1; h++)
        for (int j = 0; j < N2; j++) *flat++ = p->W2[j][h];
    memcpy(flat, p->b2, N2 * sizeof(float));
}

void net_inputs_from_flat(net_inputs *x, const float *flat) {
    memcpy(x->X, flat, sizeof x->X), flat += M * N0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < P2; j++) x->Y[i][j] = j < N2 ? flat[i * N2 + j] : 0;
}
