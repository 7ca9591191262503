/* What the live check computes for every pixel: the locator's layers, the sums of cells, the measure of focus.
 *
 *     python -m capture_app.camera.build_kernel     (to kernel.simd.wasm and kernel.wasm, which are committed)
 *
 * No libc and no memory of its own but the planes of the last part; locator.js and frame.js say what is run, and
 * where in memory. Written in vectors of four floats: with SIMD each is one register, without it the compiler takes
 * them apart, so that one source serves browsers old and new.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef float f32x4 __attribute__((vector_size(16)));
typedef int i32x4 __attribute__((vector_size(16)));
typedef u32 u32x4 __attribute__((vector_size(16)));
typedef u8 u8x8 __attribute__((vector_size(8)));
typedef u16 u16x4 __attribute__((vector_size(8)));
typedef u16 u16x8 __attribute__((vector_size(16)));
typedef u8 u8x16 __attribute__((vector_size(16)));

#define EXPORT(name) __attribute__((export_name(#name))) name
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("unroll")

/* As they lie in memory: anywhere, among numbers of their own kind or bytes. */
typedef f32x4 f32x4_anywhere __attribute__((aligned(4), may_alias));
typedef u32x4 u32x4_anywhere __attribute__((aligned(1), may_alias));
typedef u8x8 u8x8_anywhere __attribute__((aligned(1), may_alias));
typedef u8x16 u8x16_anywhere __attribute__((aligned(1), may_alias));
#define LOAD(at) (*(const f32x4_anywhere *)(at))
#define STORE(at, value) (*(f32x4_anywhere *)(at) = (value))

INLINE f32x4 splat(float value) { return (f32x4){value, value, value, value}; }
INLINE f32x4 rectified(f32x4 value) { return (f32x4)((i32x4)value & (value > 0)); }
INLINE double total(f32x4 value) { return (double)value[0] + value[1] + value[2] + value[3]; }
INLINE int clamped(int value, int end) { return value < 0 ? 0 : value < end ? value : end - 1; }

/* ---- The locator's layers ------------------------------------------------------------------------------------ */

/* (rows + 2, columns + 2, channels), channels last: `values` lie inside a margin of zeros, one pixel wide, that no
 * layer writes to. Channels are a multiple of four, zeros where there are fewer, but in the network's input. */
typedef struct {
  float *values; /* The margin's first. */
  int channels, rows, columns;
} Map;

INLINE int pitch(const Map *map) { return (map->columns + 2) * map->channels; }
INLINE float *place(const Map *map, int row, int column) {
  return map->values + row * pitch(map) + column * map->channels;
}

/* Each output is a weighted sum of what a pixel sees: `lines` runs of `length` numbers, `pitch` apart. */
typedef struct {
  const float *weights, *bias; /* As `pack` leaves them. */
  int lines, length, pitch, step; /* `step`: from a pixel to the next. */
  int outputs, rectify;
} Mix;

/* A tile of pixels by vectors of outputs is held in registers: 12 of the 16 that a PC has with SIMD, a phone 32. */
#ifdef __wasm_simd128__
enum { TILE = 4, WIDEST = 3 };
#else
enum { TILE = 1, WIDEST = 3 };
#endif

/* How many vectors of outputs are computed together, of those that are left: no tile of one if it can be avoided,
 * which would wait for its own sums. */
INLINE int together(int left) { return left == 4 ? 2 : left < WIDEST ? left : WIDEST; }

/* (outputs, inputs) to the order in which `mix` reads it. Outputs are a multiple of four. */
void EXPORT(pack)(const float *matrix, int outputs, int inputs, float *packed) {
  for (int first = 0, vectors; first < outputs; first += 4 * vectors) {
    vectors = together((outputs - first) / 4);
    for (int input = 0; input < inputs; input++)
      for (int own = first; own < first + 4 * vectors; own++) *packed++ = matrix[own * inputs + input];
  }
}

INLINE void mix_tile(const Mix *mix, const float *in, const float *weights, const float *bias, float *out,
                     const int pixels, const int vectors) {
  f32x4 sums[TILE][WIDEST];
  UNROLLED for (int pixel = 0; pixel < pixels; pixel++)
    UNROLLED for (int v = 0; v < vectors; v++) sums[pixel][v] = LOAD(bias + 4 * v);
  for (int line = 0; line < mix->lines; line++, in += mix->pitch)
    for (int at = 0; at < mix->length; at++, weights += 4 * vectors)
      UNROLLED for (int pixel = 0; pixel < pixels; pixel++) {
        const f32x4 value = splat(in[pixel * mix->step + at]);
        UNROLLED for (int v = 0; v < vectors; v++) sums[pixel][v] += value * LOAD(weights + 4 * v);
      }
  UNROLLED for (int pixel = 0; pixel < pixels; pixel++)
    UNROLLED for (int v = 0; v < vectors; v++) {
      const f32x4 sum = sums[pixel][v];
      STORE(out + pixel * mix->outputs + 4 * v, mix->rectify ? rectified(sum) : sum);
    }
}

INLINE void mix_tiles(const Mix *mix, const float *in, const float *weights, const float *bias, float *out,
                      int columns, const int vectors) {
  if (columns < TILE) {
    for (int at = 0; at < columns; at++)
      mix_tile(mix, in + at * mix->step, weights, bias, out + at * mix->outputs, 1, vectors);
    return;
  }
  for (int begin = 0; begin < columns; begin += TILE) {
    const int at = begin + TILE <= columns ? begin : columns - TILE; /* The last may do some pixels again. */
    mix_tile(mix, in + at * mix->step, weights, bias, out + at * mix->outputs, TILE, vectors);
  }
}

static void mix_row(const Mix *mix, const float *in, float *out, int columns) {
  const float *weights = mix->weights;
  for (int first = 0, vectors; first < mix->outputs; first += 4 * vectors) {
    vectors = together((mix->outputs - first) / 4);
    const float *bias = mix->bias + first;
    if (vectors == 3) mix_tiles(mix, in, weights, bias, out + first, columns, 3);
    else if (vectors == 2) mix_tiles(mix, in, weights, bias, out + first, columns, 2);
    else mix_tiles(mix, in, weights, bias, out + first, columns, 1);
    weights += 4 * vectors * mix->lines * mix->length;
  }
}

/* 3x3 over all channels, ReLU. */
void EXPORT(convolve)(const Map *in, const float *weights, const float *bias, Map *out, int stride) {
  const Mix mix = {weights, bias, 3, 3 * in->channels, pitch(in), stride * in->channels, out->channels, 1};
  for (int row = 0; row < out->rows; row++)
    mix_row(&mix, place(in, stride * row, 0), place(out, row + 1, 1), out->columns);
}

/* 1x1. */
void EXPORT(pointwise)(const Map *in, const float *weights, const float *bias, Map *out) {
  const Mix mix = {weights, bias, 1, in->channels, 0, in->channels, out->channels, 0};
  for (int row = 1; row <= out->rows; row++) mix_row(&mix, place(in, row, 1), place(out, row, 1), out->columns);
}

/* A column of three pixels, times one of the three columns of a 3x3. */
typedef struct {
  f32x4 above, here, below;
} Column;

INLINE Column column_at(const float *above, int pitch) {
  return (Column){LOAD(above), LOAD(above + pitch), LOAD(above + 2 * pitch)};
}
INLINE f32x4 times(Column column, const f32x4 *taps) {
  return column.above * taps[0] + column.here * taps[3] + column.below * taps[6];
}

/* One row of 3x3 within each channel; kernel: (9, channels), stride 1 or 2. Each column is read once and goes into
 * all the outputs that see it. */
static void spread_row(const float *in, int pitch, int channels, int stride, const float *kernel, float *out,
                       int columns) {
  for (int channel = 0; channel < channels; channel += 4, in += 4, out += 4) {
    f32x4 left[9], *const middle = left + 1, *const right = left + 2;
    UNROLLED for (int tap = 0; tap < 9; tap++) left[tap] = LOAD(kernel + tap * channels + channel);
    const float *from = in + channels;
    float *to = out;
    Column column = column_at(in, pitch);
    f32x4 sum = times(column, left);
    if (stride == 1) {
      column = column_at(from, pitch);
      sum += times(column, middle);
      f32x4 next = times(column, left);
      for (int x = 0; x < columns; x++, to += channels) {
        column = column_at(from += channels, pitch);
        STORE(to, sum + times(column, right));
        sum = next + times(column, middle);
        next = times(column, left);
      }
    } else {
      for (int x = 0; x < columns; x++, to += channels, from += 2 * channels) {
        sum += times(column_at(from, pitch), middle);
        column = column_at(from + channels, pitch);
        STORE(to, sum + times(column, right));
        sum = times(column, left);
      }
    }
  }
}

/* 3x3 within each channel, 1x1 across them, ReLU: a row at a time through `line`, which stays in the cache. */
void EXPORT(block)(const Map *in, const float *kernel, const float *weights, const float *bias, float *line,
                   Map *out, int stride) {
  const Mix mix = {weights, bias, 1, in->channels, 0, in->channels, out->channels, 1};
  for (int row = 0; row < out->rows; row++) {
    spread_row(place(in, stride * row, 0), pitch(in), in->channels, stride, kernel, line, out->columns);
    mix_row(&mix, line, place(out, row + 1, 1), out->columns);
  }
}

/* Adds a coarser map of as many channels, enlarged by repetition. */
void EXPORT(add_enlarged)(Map *map, const Map *coarse) {
  const int channels = map->channels;
  for (int row = 0; row < map->rows; row++) {
    float *to = place(map, row + 1, 1);
    const float *from = place(coarse, row * coarse->rows / map->rows + 1, 1);
    for (int column = 0, share = 0; column < map->columns; column++) {
      for (int at = 0; at < channels; at += 4) STORE(to + at, LOAD(to + at) + LOAD(from + at));
      to += channels;
      share += coarse->columns;
      if (share >= map->columns) {
        share -= map->columns;
        from += channels;
      }
    }
  }
}

/* Each channel's mean, as a map of one pixel. */
void EXPORT(average)(const Map *map, Map *means) {
  float *to = place(means, 1, 1);
  for (int channel = 0; channel < map->channels; channel += 4) {
    f32x4 sum = splat(0);
    for (int row = 1; row <= map->rows; row++) {
      const float *from = place(map, row, 1) + channel;
      for (int column = 0; column < map->columns; column++) sum += LOAD(from + column * map->channels);
    }
    STORE(to + channel, sum / splat(map->rows * map->columns));
  }
}

/* Each channel times a factor of its own. */
void EXPORT(scale)(Map *map, const Map *factors) {
  const float *own = place(factors, 1, 1);
  for (int row = 1; row <= map->rows; row++) {
    float *to = place(map, row, 1);
    for (int column = 0; column < map->columns; column++, to += map->channels)
      for (int at = 0; at < map->channels; at += 4) STORE(to + at, LOAD(to + at) * LOAD(own + at));
  }
}

/* ---- The frame ----------------------------------------------------------------------------------------------- */

/* RGBA, 0 to 255, to the sums over whole cells of 4x4, (rows, columns, 4), and over their quarters of 2x2,
 * (2 * rows, 2 * columns, 4). */
void EXPORT(sum_cells)(const u8 *rgba, int width, int rows, int columns, u16 *quarters, u16 *cells) {
  u16x4 *quarter = (u16x4 *)quarters, *cell = (u16x4 *)cells;
  for (int row = 0; row < 2 * rows; row++)
    for (int column = 0; column < 2 * columns; column++) {
      const u8 *at = rgba + 8 * (row * width + column);
      const u16x8 two = __builtin_convertvector(*(const u8x8_anywhere *)at, u16x8) +
                        __builtin_convertvector(*(const u8x8_anywhere *)(at + 4 * width), u16x8);
      *quarter++ = __builtin_shufflevector(two, two, 0, 1, 2, 3) + __builtin_shufflevector(two, two, 4, 5, 6, 7);
    }
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++) {
      const u16x4 *own = (const u16x4 *)quarters + 2 * (2 * columns * row + column);
      *cell++ = own[0] + own[1] + own[2 * columns] + own[2 * columns + 1];
    }
}

/* How many pixels of the cells that count are brighter than `level` in all three colours. */
int EXPORT(count_brighter)(const u8 *rgba, int width, int rows, int columns, const u8 *counts, int level) {
  const u8 l = level;
  const u8x16 levels = {l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l};
  i32x4 count = {0};
  for (int y = 0; y < 4 * rows; y++)
    for (int column = 0; column < columns; column++) {
      if (!counts[y / 4 * columns + column]) continue;
      const u32x4 beyond = (u32x4)(*(const u8x16_anywhere *)(rgba + 4 * (y * width + 4 * column)) > levels);
      count -= (i32x4)((beyond & 0xffffff) == 0xffffff); /* A comparison that holds is -1. */
    }
  return count[0] + count[1] + count[2] + count[3];
}

/* ---- Detail -------------------------------------------------------------------------------------------------- */

/* The frame's middle. Luma is a whole number of levels, and every sum below is kept whole, at most 2^24, so that
 * floats hold them exactly; what they are to be divided by is in the last step of all. */
enum { SIDE = 160, BLOCK = 40, BLOCKS = SIDE / BLOCK, WAYS = 4, MARGIN = 2, BORDER = 4 };
typedef float Plane[SIDE * SIDE + 4]; /* The last vector of the last row may reach beyond it. */
typedef double Squares[WAYS][BLOCKS][BLOCKS]; /* By direction and block, summed. */
enum { PARTS = BLOCKS - 1 };
static const double NOISE_LEFT = 1.8 * 0.0305, DETAIL_FLOOR = 0.4;

static Plane luma, once, smoother, along;
static float bordered[BORDER + SIDE + BORDER];

/* A row of luma: 299 parts of red, 587 of green, 114 of blue. */
static void read_luma(const u8 *rgba, float *to) {
  for (int x = 0; x < SIDE; x += 4) {
    const u32x4 four = *(const u32x4_anywhere *)(rgba + 4 * x);
    const u32x4 weighted = 299 * (four & 255) + 587 * (four >> 8 & 255) + 114 * (four >> 16 & 255);
    STORE(to + x, __builtin_convertvector((i32x4)((weighted + 500) / 1000), f32x4));
  }
}

/* A row with its ends repeated; gives its first value's place. */
static const float *with_border(const float *row) {
  for (int x = 0; x < BORDER; x++) {
    bordered[x] = row[0];
    bordered[BORDER + SIDE + x] = row[SIDE - 1];
  }
  for (int x = 0; x < SIDE; x += 4) STORE(bordered + BORDER + x, LOAD(row + x));
  return bordered + BORDER;
}

/* 16 times a plane smoothed by [1 2 1] / 4 both ways, the border repeated; may be done in its place. */
static void smooth(const float *plane, float *to) {
  for (int y = 0; y < SIDE; y++) {
    const float *row = with_border(plane + y * SIDE);
    for (int x = 0; x < SIDE; x += 4)
      STORE(along + y * SIDE + x, LOAD(row + x - 1) + 2 * LOAD(row + x) + LOAD(row + x + 1));
  }
  for (int y = 0; y < SIDE; y++) {
    const float *above = along + clamped(y - 1, SIDE) * SIDE, *own = along + y * SIDE;
    const float *below = along + clamped(y + 1, SIDE) * SIDE;
    for (int x = 0; x < SIDE; x += 4)
      STORE(to + y * SIDE + x, LOAD(above + x) + 2 * LOAD(own + x) + LOAD(below + x));
  }
}

/* The squares of a plane's second differences in one block, between neighbours `distance` apart. */
INLINE void bend_block(const float *plane, const int distance, int block_y, int block_x, Squares sums) {
  static const int STEPS[WAYS] = {1, SIDE, SIDE + 1, SIDE - 1};
  double sum[WAYS] = {0};
  for (int y = block_y * BLOCK; y < (block_y + 1) * BLOCK; y++) {
    if (y < MARGIN || y >= SIDE - MARGIN) continue;
    f32x4 row[WAYS] = {0};
    for (int x = block_x * BLOCK; x < (block_x + 1) * BLOCK; x += 4) {
      const float *at = plane + y * SIDE + x;
      const f32x4 middle = 2 * LOAD(at);
      const i32x4 columns = (i32x4){0, 1, 2, 3} + x;
      const i32x4 inside = (columns >= MARGIN) & (columns < SIDE - MARGIN);
      UNROLLED for (int way = 0; way < WAYS; way++) {
        const int step = distance * STEPS[way];
        const f32x4 own = (f32x4)((i32x4)(LOAD(at + step) + LOAD(at - step) - middle) & inside);
        row[way] += own * own;
      }
    }
    UNROLLED for (int way = 0; way < WAYS; way++) sum[way] += total(row[way]);
  }
  for (int way = 0; way < WAYS; way++) sums[way][block_y][block_x] = sum[way];
}

INLINE void bend(const float *plane, const int distance, Squares sums) {
  for (int y = 0; y < BLOCKS; y++)
    for (int x = 0; x < BLOCKS; x++) bend_block(plane, distance, y, x, sums);
}

/* The mean square over two by two blocks, in levels; `scale`: what a level is in the plane. */
static double mean_square(Squares sums, int way, int y, int x, double scale) {
  const double sum = sums[way][y][x] + sums[way][y][x + 1] + sums[way][y + 1][x] + sums[way][y + 1][x + 1];
  const double spacing = way < 2 ? 1 : 2; /* The diagonals' neighbours lie further apart. */
  return sum / (4 * BLOCK * BLOCK) / (scale * scale * spacing * spacing);
}

/* The mean of the four directions in the plainest part. */
static double noise_of(Squares bends) {
  double least = -1;
  for (int part = 0; part < PARTS * PARTS; part++) {
    double mean = 0;
    for (int way = 0; way < WAYS; way++) mean += mean_square(bends, way, part / PARTS, part % PARTS, 1) / WAYS;
    if (least < 0 || mean < least) least = mean;
  }
  return least;
}

/* Fine detail, less noise, in the direction that has least, as a share of the coarser, in the sharpest part of the
 * middle of a frame in RGBA. */
double EXPORT(measure_detail)(const u8 *rgba, int width, int height) {
  const u8 *corner = rgba + 4 * ((height - SIDE) / 2 * width + (width - SIDE) / 2);
  for (int y = 0; y < SIDE; y++) read_luma(corner + 4 * y * width, luma + y * SIDE);
  smooth(luma, once);
  smooth(once, smoother);
  for (int times = 0; times < 2; times++) smooth(smoother, smoother);
  Squares unsmoothed, fine, coarse;
  bend(luma, 1, unsmoothed);
  bend(once, 1, fine);
  bend(smoother, 2, coarse);
  const double noise = NOISE_LEFT * noise_of(unsmoothed);
  double sharpest = 0;
  for (int y = 0; y < PARTS; y++)
    for (int x = 0; x < PARTS; x++) {
      double least = -1, coarser[WAYS], mean = 0;
      for (int way = 0; way < WAYS; way++) {
        coarser[way] = __builtin_sqrt(mean_square(coarse, way, y, x, 65536) + DETAIL_FLOOR * DETAIL_FLOOR);
        mean += coarser[way] / WAYS;
      }
      for (int way = 0; way < WAYS; way++) {
        const double own = mean_square(fine, way, y, x, 16) - noise;
        const double by = __builtin_sqrt(coarser[way] * __builtin_sqrt(coarser[way] * mean));
        const double share = own > 0 ? __builtin_sqrt(own) / by : 0;
        if (least < 0 || share < least) least = share;
      }
      if (least > sharpest) sharpest = least;
    }
  return sharpest;
}
