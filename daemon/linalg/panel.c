// Cholesky factor and the triangular solves that go with it, in doubles.
//
// Left-looking: a tile of BLOCK columns x some vectors of rows is loaded once, all finished columns are
// subtracted from it, then it is finished in registers and stored once. Lanes are rows, so a column's
// elements never meet.

#include "set.h"
#include "simd.h"

// Columns of a tile, vectors that hold its diagonal, and vectors of rows that it has at most. Finishing a
// diagonal is a long chain of square roots and divisions; few columns and many rows give the processor
// other work in its shadow. Solving has no such chain: more columns, fewer loads.
enum {
    SUMS = SIMD_REGISTERS * 3 / 4,
    BLOCK = 4,
    DIAGONAL = BLOCK > F64_LANES ? BLOCK / F64_LANES : 1,
    TALLEST = SUMS / BLOCK > DIAGONAL ? SUMS / BLOCK : DIAGONAL,
    SOLVE_BLOCK = F64_LANES > 4 ? F64_LANES : 4,
    SOLVE_TALLEST = SUMS / SOLVE_BLOCK > 1 ? SUMS / SOLVE_BLOCK : 1,
};

// The block of columns that is being finished.
struct block {
    double *panel;
    size_t stride, rows;
    size_t first, count;       // its columns
    double reciprocal[BLOCK];  // 1 / l_cc of each
};

typedef f64v tile[TALLEST][BLOCK];

SIMD_INLINE void load_tile(tile a, const struct block *block, size_t row, const int vectors)
{
    SIMD_UNROLL
    for (int j = 0; j < BLOCK; j++) {
        // Columns past the last one are computed along and dropped.
        size_t c = block->first + ((size_t)j < block->count ? j : 0);
        const double *column = block->panel + c * block->stride;
        SIMD_UNROLL
        for (int v = 0; v < vectors; v++)
            a[v][j] = f64_load(column + row + v * F64_LANES);
    }
}

// a -= l l_j for the finished columns l, left to right, and `columns` columns j of the block
SIMD_INLINE void subtract_finished(tile a, const struct block *block, size_t row, const int vectors,
                                   const int columns)
{
    const double *l = block->panel;
    for (size_t k = 0; k < block->first; k++, l += block->stride) {
        f64v rows[TALLEST];
        SIMD_UNROLL
        for (int v = 0; v < vectors; v++)
            rows[v] = f64_load_once(l + row + v * F64_LANES);
        SIMD_UNROLL
        for (int j = 0; j < columns; j++) {
            f64v l_j = f64_all(l[block->first + j]);
            SIMD_UNROLL
            for (int v = 0; v < vectors; v++)
                a[v][j] = f64_fnma(rows[v], l_j, a[v][j]);
        }
    }
}

SIMD_INLINE void update_tile(tile a, const struct block *block, size_t row, const int vectors)
{
    load_tile(a, block, row, vectors);
    if (block->count == 1)
        subtract_finished(a, block, row, vectors, 1);
    else if (block->count <= BLOCK / 2)
        subtract_finished(a, block, row, vectors, BLOCK / 2);
    else
        subtract_finished(a, block, row, vectors, BLOCK);
}

SIMD_INLINE double element(f64v a, size_t lane) { return f64_first(f64_spread(a, lane)); }

// Rows from the block's first column on: the diagonal, and what fits into the tile below it. `above` rows
// of the first vector lie above the block.
SIMD_INLINE size_t finish_diagonal(struct block *block, size_t above, const int vectors)
{
    tile a;
    size_t row = block->first - above;
    update_tile(a, block, row, vectors);
    double pivot = element(a[0][0], above);
    SIMD_UNROLL
    for (int j = 0; j < BLOCK; j++) {
        if ((size_t)j == block->count)
            return 0;
        if (!(pivot >= 0x1p-1000 && pivot <= 0x1p1000))
            return block->first + j + 1;
        // 1 / l_cc, without waiting for l_cc before the division begins
        double root = sqrt(pivot), reciprocal = root * (1 / pivot);
        block->reciprocal[j] = reciprocal;
        double *column = block->panel + (block->first + j) * block->stride;
        if (j + 1 < BLOCK) {
            // The next pivot, ahead of the vectors that it stands in.
            const int v = (j + 1) / F64_LANES;
            size_t lane = above + (j + 1) % F64_LANES;
            double l = element(a[v][j], lane) * reciprocal;
            pivot = fma(-l, l, element(a[v][j + 1], lane));
        }
        // Whole vectors, what is above the diagonal included: a later load of one waits for no mask.
        SIMD_UNROLL
        for (int v = j / F64_LANES; v < vectors; v++) {
            a[v][j] = f64_mul(a[v][j], f64_all(reciprocal));
            if (v == j / F64_LANES)
                a[v][j] = f64_replace(a[v][j], above + j % F64_LANES, root);
            f64_store(column + row + v * F64_LANES, a[v][j]);
        }
        SIMD_UNROLL
        for (int i = j + 1; i < BLOCK; i++) {
            f64v l_i = f64_spread(a[i / F64_LANES][j], above + i % F64_LANES);
            SIMD_UNROLL
            for (int v = i / F64_LANES; v < vectors; v++)
                a[v][i] = f64_fnma(a[v][j], l_i, a[v][i]);
        }
    }
    return 0;
}

// Rows below, once the diagonal is finished.
SIMD_INLINE void finish_below(const struct block *block, size_t row, const int vectors)
{
    tile a;
    update_tile(a, block, row, vectors);
    SIMD_UNROLL
    for (int j = 0; j < BLOCK; j++) {
        if ((size_t)j == block->count)
            return;
        f64v reciprocal = f64_all(block->reciprocal[j]);
        double *column = block->panel + (block->first + j) * block->stride;
        SIMD_UNROLL
        for (int v = 0; v < vectors; v++) {
            a[v][j] = f64_mul(a[v][j], reciprocal);
            f64_store(column + row + v * F64_LANES, a[v][j]);
        }
        SIMD_UNROLL
        for (int i = j + 1; i < BLOCK; i++) {
            f64v l_i = f64_all(column[block->first + i]);
            SIMD_UNROLL
            for (int v = 0; v < vectors; v++)
                a[v][i] = f64_fnma(a[v][j], l_i, a[v][i]);
        }
    }
}

// Calls with the tile's height as a constant.
#define HEIGHT(height, limit, call)       \
    case height:                          \
        if (height <= limit) {            \
            const int vectors = height;   \
            call;                         \
        }                                 \
        break
#define WITH_HEIGHT(height, limit, call) \
    switch (height) {                    \
        HEIGHT(1, limit, call);          \
        HEIGHT(2, limit, call);          \
        HEIGHT(3, limit, call);          \
        HEIGHT(4, limit, call);          \
        HEIGHT(5, limit, call);          \
        HEIGHT(6, limit, call);          \
    }

// Vectors of the next tile over this many rows: tiles of nearly equal height.
static size_t next_height(size_t rows, size_t tallest)
{
    size_t vectors = (rows + F64_LANES - 1) / F64_LANES, tiles = (vectors + tallest - 1) / tallest;
    return (vectors + tiles - 1) / tiles;
}

static size_t finish_block(struct block *block)
{
    size_t above = block->first % F64_LANES, row = block->first - above, failed = 0;
    size_t height = next_height(block->rows - row, TALLEST);
    if (height < DIAGONAL)
        height = DIAGONAL;  // runs into the padding
    WITH_HEIGHT(height, TALLEST, failed = finish_diagonal(block, above, vectors > DIAGONAL ? vectors : DIAGONAL))
    for (row += height * F64_LANES; !failed && row < block->rows; row += height * F64_LANES) {
        height = next_height(block->rows - row, TALLEST);
        WITH_HEIGHT(height, TALLEST, finish_below(block, row, vectors))
    }
    return failed;
}

size_t KERNEL(factor)(double *panel, size_t stride, size_t D, size_t rows)
{
    struct block block = {.panel = panel, .stride = stride, .rows = rows};
    for (; block.first < D; block.first += BLOCK) {
        block.count = D - block.first < BLOCK ? D - block.first : BLOCK;
        size_t failed = finish_block(&block);
        if (failed)
            return failed;
    }
    return 0;
}

// Rows of the right-hand side, `tail` of them in the last vector. Columns go from right to left: what is
// solved is subtracted, k descending, then the block is finished in registers.
SIMD_INLINE void solve_rows(double *out, size_t out_stride, const double *panel, size_t stride, size_t D,
                            size_t first_row, size_t tail, const int vectors)
{
    for (size_t end = D; end;) {
        size_t first = (end - 1) / SOLVE_BLOCK * SOLVE_BLOCK, count = end - first;
        const double *corner = panel + first * stride;
        f64v a[SOLVE_TALLEST][SOLVE_BLOCK];
        SIMD_UNROLL
        for (int j = 0; j < SOLVE_BLOCK; j++) {
            const double *column = corner + ((size_t)j < count ? j : 0) * stride + first_row;
            SIMD_UNROLL
            for (int v = 0; v < vectors - 1; v++)
                a[v][j] = f64_load(column + v * F64_LANES);
            a[vectors - 1][j] = f64_load_first(column + (vectors - 1) * F64_LANES, tail);
        }
        // Only the rightmost block can be narrow, and nothing is solved before it.
        for (size_t k = D; k-- > end;) {
            const double *solved = out + k * out_stride;
            f64v x[SOLVE_TALLEST];
            SIMD_UNROLL
            for (int v = 0; v < vectors - 1; v++)
                x[v] = f64_load_once(solved + v * F64_LANES);
            x[vectors - 1] = f64_load_first(solved + (vectors - 1) * F64_LANES, tail);
            SIMD_UNROLL
            for (int j = 0; j < SOLVE_BLOCK; j++) {
                f64v l = f64_all(corner[j * stride + k]);
                SIMD_UNROLL
                for (int v = 0; v < vectors; v++)
                    a[v][j] = f64_fnma(x[v], l, a[v][j]);
            }
        }
        SIMD_UNROLL
        for (int j = SOLVE_BLOCK - 1; j >= 0; j--) {
            if ((size_t)j >= count)
                continue;
            f64v reciprocal = f64_all(1 / corner[j * stride + first + j]);
            double *column = out + (first + j) * out_stride;
            SIMD_UNROLL
            for (int v = 0; v < vectors; v++) {
                a[v][j] = f64_mul(a[v][j], reciprocal);
                if (v == vectors - 1)
                    f64_store_first(column + v * F64_LANES, a[v][j], tail);
                else
                    f64_store(column + v * F64_LANES, a[v][j]);
            }
            SIMD_UNROLL
            for (int i = 0; i < j; i++) {
                f64v l = f64_all(corner[i * stride + first + j]);
                SIMD_UNROLL
                for (int v = 0; v < vectors; v++)
                    a[v][i] = f64_fnma(a[v][j], l, a[v][i]);
            }
        }
        end = first;
    }
}

void KERNEL(back_substitute)(double *out, size_t out_stride, const double *panel, size_t stride, size_t D,
                             size_t first, size_t count)
{
    while (count) {
        size_t height = next_height(count, SOLVE_TALLEST);
        size_t rows = height * F64_LANES < count ? height * F64_LANES : count;
        size_t tail = rows - (height - 1) * F64_LANES;
        WITH_HEIGHT(height, SOLVE_TALLEST, solve_rows(out, out_stride, panel, stride, D, first, tail, vectors))
        out += rows;
        first += rows;
        count -= rows;
    }
}
