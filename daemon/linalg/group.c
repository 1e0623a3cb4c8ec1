// The solves of several sessions at once: a lane is a session, so nothing waits for a root or a division of its own,
// and no lane stands idle beside a short column.
//
// Element by element the operations and their order are those of panel.c, so a session's bits are the same alone
// and in any group.

#include "set.h"
#include "simd.h"

// Rows and columns of a tile that stays in registers beside one row and one column of factors.
enum { ROWS = 4, COLUMNS = SIMD_REGISTERS >= 32 ? 4 : 2 };

SIMD_INLINE f64v load(const double *panel, size_t i) { return f64_load(panel + i * F64_LANES); }
SIMD_INLINE void store(double *panel, size_t i, f64v a) { f64_store(panel + i * F64_LANES, a); }

// One column's `count` next entries of each session, doubled and turned: entry i of all sessions side by side.
SIMD_INLINE void fill(double *to, const double *prior, const uint64_t *const low[], const int64_t *const high[],
                      size_t entry, size_t count)
{
    f64v turned[F64_LANES];
    SIMD_UNROLL
    for (int s = 0; s < F64_LANES; s++) {
        i64v words = count == F64_LANES ? i64_load(low[s] + entry) : i64_load_first(low[s] + entry, count);
        turned[s] = f64_from_i64(words);
        if (high[s]) {
            i64v upper = count == F64_LANES ? i64_load(high[s] + entry) : i64_load_first(high[s] + entry, count);
            turned[s] = f64_fma(f64_from_i64(upper), f64_all(0x1p64), turned[s]);
        }
    }
    f64_turn(turned);
    SIMD_UNROLL
    for (size_t i = 0; i < F64_LANES; i++)
        if (i < count)
            store(to, i, f64_fma(turned[i], f64_all(0x1p-48), f64_all(prior[entry + i])));
}

void KERNEL(group_sum_to_panel)(double *panel, size_t stride, const double *prior, const uint64_t *const low[],
                                const int64_t *const high[], size_t P, size_t columns, size_t rows)
{
    size_t entry = 0;  // (c, c)
    for (size_t c = 0; c < columns; entry += P - c, c++) {
        double *diagonal = panel + (c * stride + c) * F64_LANES;
        size_t count = rows - c, i = 0;
        for (; i + F64_LANES <= count; i += F64_LANES)
            fill(diagonal + i * F64_LANES, prior, low, high, entry + i, F64_LANES);
        if (i < count)
            fill(diagonal + i * F64_LANES, prior, low, high, entry + i, count - i);
    }
}

// The diagonal of columns first .. first+columns-1, and one over it. Sessions that failed, a bit for each.
SIMD_INLINE unsigned finish_diagonal(double *panel, size_t stride, size_t first, f64v *reciprocal, const int columns)
{
    f64v a[COLUMNS][COLUMNS];
    double *corner = panel + (first * stride + first) * F64_LANES;
    SIMD_UNROLL
    for (int j = 0; j < columns; j++)
        SIMD_UNROLL
        for (int i = j; i < columns; i++)
            a[i][j] = load(corner, j * stride + i);
    for (size_t k = 0; k < first; k++) {
        f64v l[COLUMNS];
        SIMD_UNROLL
        for (int i = 0; i < columns; i++)
            l[i] = load(panel, k * stride + first + i);
        SIMD_UNROLL
        for (int j = 0; j < columns; j++)
            SIMD_UNROLL
            for (int i = j; i < columns; i++)
                a[i][j] = f64_fnma(l[i], l[j], a[i][j]);
    }
    unsigned failed = 0;
    SIMD_UNROLL
    for (int j = 0; j < columns; j++) {
        f64v pivot = a[j][j];
        failed |= f64_outside(pivot, 0x1p-1000, 0x1p1000);
        a[j][j] = f64_sqrt(pivot);
        reciprocal[j] = f64_mul(a[j][j], f64_div(f64_all(1), pivot));
        store(corner, j * stride + j, a[j][j]);
        SIMD_UNROLL
        for (int i = j + 1; i < columns; i++) {
            a[i][j] = f64_mul(a[i][j], reciprocal[j]);
            store(corner, j * stride + i, a[i][j]);
        }
        SIMD_UNROLL
        for (int c = j + 1; c < columns; c++)
            SIMD_UNROLL
            for (int i = c; i < columns; i++)
                a[i][c] = f64_fnma(a[i][j], a[c][j], a[i][c]);
    }
    return failed;
}

// The next rows below a finished diagonal.
SIMD_INLINE void finish_rows(double *panel, size_t stride, size_t first, size_t row, const f64v *reciprocal,
                             const int rows, const int columns)
{
    f64v a[ROWS][COLUMNS];
    double *tile = panel + (first * stride + row) * F64_LANES;
    SIMD_UNROLL
    for (int j = 0; j < columns; j++)
        SIMD_UNROLL
        for (int i = 0; i < rows; i++)
            a[i][j] = load(tile, j * stride + i);
    for (size_t k = 0; k < first; k++) {
        f64v l[ROWS];
        SIMD_UNROLL
        for (int i = 0; i < rows; i++)
            l[i] = load(panel, k * stride + row + i);
        SIMD_UNROLL
        for (int j = 0; j < columns; j++) {
            f64v l_j = load(panel, k * stride + first + j);
            SIMD_UNROLL
            for (int i = 0; i < rows; i++)
                a[i][j] = f64_fnma(l[i], l_j, a[i][j]);
        }
    }
    SIMD_UNROLL
    for (int j = 0; j < columns; j++) {
        SIMD_UNROLL
        for (int i = 0; i < rows; i++) {
            a[i][j] = f64_mul(a[i][j], reciprocal[j]);
            store(tile, j * stride + i, a[i][j]);
        }
        SIMD_UNROLL
        for (int c = j + 1; c < columns; c++) {
            f64v l_c = load(panel, (first + j) * stride + first + c);
            SIMD_UNROLL
            for (int i = 0; i < rows; i++)
                a[i][c] = f64_fnma(a[i][j], l_c, a[i][c]);
        }
    }
}

SIMD_INLINE unsigned finish_columns(double *panel, size_t stride, size_t first, size_t rows, const int columns)
{
    f64v reciprocal[COLUMNS];
    unsigned failed = finish_diagonal(panel, stride, first, reciprocal, columns);
    size_t row = first + columns;
    for (; row + ROWS <= rows; row += ROWS)
        finish_rows(panel, stride, first, row, reciprocal, ROWS, columns);
    if (row + 2 <= rows) {
        finish_rows(panel, stride, first, row, reciprocal, 2, columns);
        row += 2;
    }
    if (row < rows)
        finish_rows(panel, stride, first, row, reciprocal, 1, columns);
    return failed;
}

unsigned KERNEL(group_factor)(double *panel, size_t stride, size_t D, size_t rows)
{
    unsigned failed = 0;
    size_t first = 0;
    for (; first + COLUMNS <= D; first += COLUMNS)
        failed |= finish_columns(panel, stride, first, rows, COLUMNS);
    for (; first < D; first++)
        failed |= finish_columns(panel, stride, first, rows, 1);
    return failed;
}

void KERNEL(group_back_substitute)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count)
{
    for (size_t c = 0; c < D; c++)
        for (size_t r = 0; r < count; r++)
            store(out, c * count + r, load(panel, c * stride + first + r));
    // Each finished element goes to all that wait for it, so that none waits for another.
    for (size_t k = D; k-- > 0;) {
        f64v reciprocal = f64_div(f64_all(1), load(panel, k * stride + k));
        for (size_t r = 0; r < count; r++)
            store(out, k * count + r, f64_mul(load(out, k * count + r), reciprocal));
        for (size_t c = 0; c < k; c++) {
            f64v l = load(panel, c * stride + k);
            for (size_t r = 0; r < count; r++)
                store(out, c * count + r, f64_fnma(load(out, k * count + r), l, load(out, c * count + r)));
        }
    }
}

// Rows row .. row+rows-1 of columns first .. first+columns-1 of L^-1, the rows above from `first` on in `above`.
SIMD_INLINE void invert_rows(double *above, const double *panel, size_t stride, size_t first, size_t row,
                             const double *reciprocal, f64v *sum, const int rows, const int columns)
{
    f64v a[ROWS][COLUMNS];
    SIMD_UNROLL
    for (int i = 0; i < rows; i++)
        SIMD_UNROLL
        for (int j = 0; j < columns; j++)
            a[i][j] = f64_all(row + (size_t)i == first + (size_t)j);
    for (size_t k = first; k < row; k++) {
        f64v v[COLUMNS];
        SIMD_UNROLL
        for (int j = 0; j < columns; j++)
            v[j] = load(above, (k - first) * columns + j);
        SIMD_UNROLL
        for (int i = 0; i < rows; i++) {
            f64v l = load(panel, k * stride + row + i);
            SIMD_UNROLL
            for (int j = 0; j < columns; j++)
                a[i][j] = f64_fnma(l, v[j], a[i][j]);
        }
    }
    SIMD_UNROLL
    for (int i = 0; i < rows; i++) {
        SIMD_UNROLL
        for (int k = 0; k < i; k++) {
            f64v l = load(panel, (row + k) * stride + row + i);
            SIMD_UNROLL
            for (int j = 0; j < columns; j++)
                a[i][j] = f64_fnma(l, a[k][j], a[i][j]);
        }
        SIMD_UNROLL
        for (int j = 0; j < columns; j++) {
            a[i][j] = f64_mul(a[i][j], load(reciprocal, row + i));
            sum[j] = f64_fma(a[i][j], a[i][j], sum[j]);
            store(above, (row + i - first) * columns + j, a[i][j]);
        }
    }
}

SIMD_INLINE void invert_columns(double *out, const double *panel, size_t stride, size_t D, size_t first,
                                const double *reciprocal, double *above, const int columns)
{
    f64v sum[COLUMNS];
    SIMD_UNROLL
    for (int j = 0; j < columns; j++)
        sum[j] = f64_all(0);
    size_t row = first;
    for (; row + ROWS <= D; row += ROWS)
        invert_rows(above, panel, stride, first, row, reciprocal, sum, ROWS, columns);
    for (; row < D; row++)
        invert_rows(above, panel, stride, first, row, reciprocal, sum, 1, columns);
    SIMD_UNROLL
    for (int j = 0; j < columns; j++)
        store(out, first + j, sum[j]);
}

void KERNEL(group_inverse_squares)(double *out, const double *panel, size_t stride, size_t D, double *room)
{
    double *reciprocal = room, *above = room + D * F64_LANES;
    for (size_t i = 0; i < D; i++)
        store(reciprocal, i, f64_div(f64_all(1), load(panel, i * stride + i)));
    size_t first = 0;
    for (; first + COLUMNS <= D; first += COLUMNS)
        invert_columns(out, panel, stride, D, first, reciprocal, above, COLUMNS);
    for (; first < D; first++)
        invert_columns(out, panel, stride, D, first, reciprocal, above, 1);
}

void KERNEL(group_squares)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        f64v sum = f64_all(0);
        for (size_t k = 0; k < D; k++) {
            f64v x = load(panel, k * stride + first + i);
            sum = f64_fma(x, x, sum);
        }
        store(out, i, sum);
    }
}

void KERNEL(group_diagonal)(double *out, const double *panel, size_t stride, size_t D)
{
    for (size_t c = 0; c < D; c++)
        store(out, c, load(panel, c * stride + c));
}

unsigned KERNEL(group_exceeds)(const double *x, const double *panel, size_t stride, size_t D, double ratio)
{
    unsigned set = 0;
    for (size_t c = 0; c < D; c++) {
        f64v root = load(panel, c * stride + c), most = f64_mul(f64_all(ratio), f64_mul(root, root));
        // x - most is above zero exactly where x is above it.
        set |= f64_outside(f64_fnma(most, f64_all(1), load(x, c)), -INFINITY, 0);
    }
    return set;
}

void KERNEL(group_combine)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count,
                           size_t row)
{
    for (size_t i = 0; i < count; i++) {
        f64v sum = f64_all(0);
        for (size_t k = 0; k < D; k++)
            sum = f64_fma(load(panel, k * stride + first + i), load(panel, k * stride + row), sum);
        store(out, i, sum);
    }
}
