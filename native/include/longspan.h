/* The whole C interface of the longspan engine.
 *
 * Notation: B batch, T time, I inputs, H hidden units, P width of h (H unless the cell projects), G gates.
 * Every pointer is borrowed for the length of the call and owned by the caller. Output buffers must not
 * overlap each other or any input, but `state` of the results may be `state` of the problem; inputs may
 * overlap each other. Element type is float or double as `type` says, in every pointer to void. Unless
 * strides are given, arrays are dense and row-major.
 *
 * Same bits: for one library version the outputs of a sequence depend on its own numbers alone, never on the
 * number of threads, its place in a batch, padding, the split of time into calls, or the instruction set.
 * Gradients of weights depend on the batch, but not on threads or instruction set.
 *
 * Functions return 0, or a negative code of enum longspan_status; nothing is written then.
 */
#ifndef LONGSPAN_H
#define LONGSPAN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LONGSPAN_ABI 8
#define LONGSPAN_API __attribute__((visibility("default")))

enum longspan_cell { LONGSPAN_LSTM = 0, LONGSPAN_RNN = 1, LONGSPAN_GRU = 2 };

enum longspan_type { LONGSPAN_FLOAT32 = 0, LONGSPAN_FLOAT64 = 1 };

/* How packed matrices are kept: as `type` says, or rounded to bfloat16 (to nearest even) when they are
 * packed. That halves what a step reads from memory. It is for float32 forward calls without a tape; arrays
 * of the problem, vectors, states and sums stay float, and the results are those of the rounded matrices, to
 * the bit. */
enum longspan_weights_type { LONGSPAN_AS_TYPE = 0, LONGSPAN_BFLOAT16 = 1 };

/* Whether a forward call packs the weights. It need not where `work` holds them as a call of the same shape
 * has packed them, and nothing has written to it since: pointers to weights then only say which there are.
 * Masks are drawn for every call. Or it may find out by itself, for calls without a tape: `work`, all zero
 * before the first call, also holds a copy of the weights, and they are packed again where they are no longer
 * the same, to the bit. */
enum longspan_packed { LONGSPAN_PACK = 0, LONGSPAN_PACKED = 1, LONGSPAN_PACK_CHANGED = 2 };

/* What a forward call leaves on the tape for its backward pass: nothing, everything, or the states at a few
 * steps, from which the backward pass makes the rest again, with the same bits. */
enum longspan_keep { LONGSPAN_KEEP_NOTHING = 0, LONGSPAN_KEEP_ALL = 1, LONGSPAN_KEEP_STATES = 2 };

enum longspan_option {
    LONGSPAN_PEEPHOLE = 1,     /* LSTM: weight_ch, gates in the order i f o */
    LONGSPAN_COUPLED = 2,      /* LSTM: f = 1 - i; gates i g o */
    LONGSPAN_NO_FORGET = 4,    /* LSTM: f = 1; gates i g o */
    LONGSPAN_LAYER_NORM = 8,   /* LSTM: gain_ih gain_hh gain_c, and shift_c or NULL */
    LONGSPAN_PROJECTION = 16,  /* LSTM: weight_hr (P, H) */
    LONGSPAN_RELU = 32,        /* RNN: relu in place of tanh */
    LONGSPAN_RESET_BEFORE = 64 /* GRU: n = tanh(W_n x + U_n (r h) + b), as first published; without it r
                                  multiplies U_n h + b */
};

enum longspan_status {
    LONGSPAN_OK = 0,
    LONGSPAN_NO_PROCESSOR = -1, /* neither AVX2 with FMA nor aarch64 */
    LONGSPAN_BAD_SHAPE = -2,    /* a size out of range, or sizes that contradict each other */
    LONGSPAN_BAD_POINTER = -3,  /* a pointer that must not be NULL is NULL */
    LONGSPAN_BAD_LENGTH = -4,   /* a length outside of [0, T] */
    LONGSPAN_NO_MEMORY = -5,    /* the tape or the work space is smaller than longspan_sizes says */
    LONGSPAN_BAD_OPTION = -6    /* unknown cell, type or instruction set, options that contradict, or a record
                                   that the cell does not have */
};

/* Places in `weights` and its gradients; NULL where the cell has none. Rows of gates in the cell's order
 * (LSTM i f g o, GRU r z n, RNN g), each gate H rows. */
enum longspan_weight {
    LONGSPAN_WEIGHT_IH = 0, /* (G*H, I) */
    LONGSPAN_WEIGHT_HH = 1, /* (G*H, P) */
    LONGSPAN_BIAS_IH = 2,   /* (G*H) */
    LONGSPAN_BIAS_HH = 3,   /* (G*H) */
    LONGSPAN_WEIGHT_HR = 4, /* (P, H) */
    LONGSPAN_WEIGHT_CH = 5, /* (K*H), K peeping gates */
    LONGSPAN_GAIN_IH = 6,   /* (G*H) */
    LONGSPAN_GAIN_HH = 7,   /* (G*H) */
    LONGSPAN_GAIN_C = 8,    /* (H) */
    LONGSPAN_SHIFT_C = 9,   /* (H) */
    LONGSPAN_WEIGHTS = 10
};

/* Places in `record` and its gradients, each (B, T, width), NULL where not wanted. Gates are numbered as
 * LSTM i f g o, RNN g, GRU r z n, whether or not they have weights. NO_FORGET has no f, and no sums of it;
 * COUPLED has no sums of f. */
enum longspan_record {
    LONGSPAN_RECORD_GATE = 0, /* 4 activated gates */
    LONGSPAN_RECORD_PRE = 4,  /* 4 gates before activation */
    LONGSPAN_RECORD_H = 8,
    LONGSPAN_RECORD_C = 9,
    LONGSPAN_RECORDS = 10
};

/* One layer in one direction. */
struct longspan_problem {
    int32_t cell, options, type;
    int32_t training;                            /* draw masks (else zoneout takes its expectation) */
    int32_t reverse;                             /* from the last step of each sequence to its first */
    int32_t keep;                                /* enum longspan_keep */
    int32_t threads;                             /* at most this many, at least 1 */
    int32_t isa;                                 /* 0 the best one, 3 x86-64-v3, 4 x86-64-v4: for tests */
    int32_t packed;                              /* enum longspan_packed */
    int32_t weights_type;                        /* enum longspan_weights_type */
    int64_t steps, batch, inputs, hidden, width; /* T B I H P */
    double cell_clip;                            /* 0: none */
    int32_t layer, direction;                    /* for the masks */
    double recurrent_dropout, zoneout[2];

    /* Sizes depend on what comes before this line only. */
    const void* x; /* (T, B, I) with these strides in elements; features dense */
    int64_t x_time, x_batch;
    const void* state[2]; /* h (B, P), c (B, H); NULL for zeros */
    const void* weights[LONGSPAN_WEIGHTS];
    const int64_t* lengths; /* (B) in [0, T], or NULL: all T */
    const uint8_t* reset;   /* (T, B) with these strides, or NULL: not 0 where the state starts anew */
    int64_t reset_time, reset_batch;
    const void* fresh[2]; /* what a reset puts there: (P), (H); NULL: zeros */

    int64_t seed, first_step;
    const int64_t* sample_ids; /* (B), or NULL: 0, 1, ... */

    void* tape; /* longspan_sizes says how many bytes; 64-byte aligned. Kept from forward to backward. */
    void* work; /* the same; of no meaning between calls, but see `packed` */
    int64_t tape_bytes, work_bytes;
};

struct longspan_results {
    void* y; /* (T, B, P) with these strides; features dense; zero past the end of a sequence */
    int64_t y_time, y_batch;
    void* state[2]; /* after the last step of each sequence: (B, P), (B, H) */
    void* record[LONGSPAN_RECORDS];
};

struct longspan_gradients {
    const void* y; /* of the loss to each result; NULL stands for zeros */
    int64_t y_time, y_batch;
    const void* state[2];
    const void* record[LONGSPAN_RECORDS];
    void* x; /* (T, B, I) with these strides, features dense, or NULL: not wanted */
    int64_t x_time, x_batch;
    void* initial[2]; /* (B, P), (B, H); NULL: not wanted */
    void* fresh[2];   /* (B, P), (B, H): the share of each sequence; NULL where there is no reset */
    void* weights[LONGSPAN_WEIGHTS]; /* all that the cell has */
};

/* All steps of a horizon from one summary of the past, by linear layers with ReLU between:
 *     code = plan s + plan_bias, K numbers for each of H steps, and x = [code of the step, future]
 *     y = W_n relu(... relu(W_1 x + b_1 + (shared s + shared_bias)) ...) + b_n */
enum { LONGSPAN_LAYERS = 4 }; /* at most */

struct longspan_horizon {
    int32_t type, threads, isa;           /* as in longspan_problem */
    int32_t layers;                       /* n, from 1 */
    int64_t batch, steps;                 /* B, H */
    int64_t summary_width, codes, known;  /* W, K, and what is known of a step; W and K from 1 */
    int64_t widths[LONGSPAN_LAYERS];      /* what each layer gives */
    const void* summary;                  /* s: (B, W) */
    const void* future;                   /* (B, H, known) */
    const void *plan, *plan_bias;         /* (H K, W); (H K) or NULL */
    const void *shared, *shared_bias;     /* (widths[0], W); (widths[0]) or NULL */
    const void* weights[LONGSPAN_LAYERS]; /* (widths[k], what it reads) */
    const void* biases[LONGSPAN_LAYERS];  /* (widths[k]), or NULL */
    void *tape, *work;                    /* longspan_horizon_sizes says how many bytes; 64-byte aligned */
    int64_t tape_bytes, work_bytes;
};

struct longspan_horizon_gradients {
    const void* y; /* (B, H, widths[n - 1]); not read by longspan_horizon_learn */
    void* summary;
    void* future; /* or NULL: not wanted */
    void *plan, *plan_bias, *shared, *shared_bias;
    void* weights[LONGSPAN_LAYERS];
    void* biases[LONGSPAN_LAYERS]; /* as plan_bias and shared_bias NULL where there is none */
};

/* The pinball loss of quantiles y + anchor: max(q e, (q - 1) e) of e = target - anchor - y, mean over the
 * levels and over the targets that are not NaN; 0 where none is. */
struct longspan_pinball {
    const void* target;    /* (B, H) */
    const void* anchor;    /* (B, H) */
    const void* levels;    /* q: (widths[n - 1]) */
    void* loss;            /* one element */
    void* anchor_gradient; /* (B, H), or NULL: not wanted */
};

enum { LONGSPAN_HORIZON_FORWARD = 0, LONGSPAN_HORIZON_BACKWARD = 1, LONGSPAN_HORIZON_LEARN = 2 };

/* Bytes of the tape, which a forward call writes and a backward call reads, and of the work space. */
LONGSPAN_API int32_t longspan_horizon_sizes(const struct longspan_horizon* problem, int32_t call,
                                            int64_t* tape, int64_t* work);

/* y is (B, H, widths[n - 1]). */
LONGSPAN_API int32_t longspan_horizon_forward(const struct longspan_horizon* problem, void* y);

LONGSPAN_API int32_t longspan_horizon_backward(const struct longspan_horizon* problem,
                                               const struct longspan_horizon_gradients* gradients);

/* The loss and its gradients at once; needs no tape. */
LONGSPAN_API int32_t longspan_horizon_learn(const struct longspan_horizon* problem,
                                            const struct longspan_pinball* loss,
                                            const struct longspan_horizon_gradients* gradients);

/* Version of this interface: LONGSPAN_ABI. */
LONGSPAN_API int32_t longspan_abi(void);

/* The instruction set that isa = 0 means here: 3, 4, 8 (aarch64), or 0 where the engine cannot run. */
LONGSPAN_API int32_t longspan_isa(void);

/* Bytes of the tape and of the work space that a call of this shape needs; no pointer is looked at. */
LONGSPAN_API int32_t longspan_sizes(const struct longspan_problem* problem, int32_t backward, int64_t* tape,
                                    int64_t* work);

/* Run all steps. */
LONGSPAN_API int32_t longspan_forward(const struct longspan_problem* problem,
                                      const struct longspan_results* results);

/* One call after the other: the layers of a stack, of which each reads what the one before it writes. Stops
 * at the first that is refused, with its status. */
LONGSPAN_API int32_t longspan_forward_layers(const struct longspan_problem* problems,
                                             const struct longspan_results* results, int32_t layers);

/* Gradients of a forward call that kept a tape, and the same problem. The tape is only read. */
LONGSPAN_API int32_t longspan_backward(const struct longspan_problem* problem,
                                       const struct longspan_gradients* gradients);

/* Run on the threads of a host that has GNU OpenMP in its process, whose workers would otherwise stand in the
 * way of the engine's own: `parallel` is its GOMP_parallel, `team` its omp_get_num_threads, `number` its
 * omp_get_thread_num. NULL for all: the engine's own threads. A child of fork always starts with its own. */
LONGSPAN_API void longspan_borrow_threads(void (*parallel)(void (*body)(void*), void* data, unsigned threads,
                                                           unsigned flags),
                                          int (*team)(void), int (*number)(void));

/* out[k] = function(in[k]) for count values: 0 sigmoid, 1 tanh; for tests of accuracy. */
LONGSPAN_API int32_t longspan_activation(int32_t function, int32_t type, int32_t isa, int64_t count,
                                         const void* in, void* out);

#ifdef __cplusplus
}
#endif
#endif
