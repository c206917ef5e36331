#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/matchers.h"

// The part of PromQL that rules are written in, as text and as a tree.
// https://prometheus.io/docs/prometheus/latest/querying/basics/
//
// In it: selectors with = != =~ !~, a range and an offset; numbers, + - * / % ^, comparisons with
// and without bool; and, or, unless; on, ignoring, group_left, group_right; sum, avg, min, max,
// count with by or without; and the functions of `Function`. Not in it: subqueries, @, topk and
// what else orders or renames series, strings, a metric's name by an expression.
namespace vigie::detectors::promql {

enum class Kind : std::uint8_t { kNumber, kSelector, kCall, kAggregate, kBinary, kNegate };

enum class Function : std::uint8_t {
    kRate,
    kIrate,
    kIncrease,
    kDelta,
    kIdelta,
    kDeriv,
    kPredictLinear,
    kChanges,
    kResets,
    kAvgOverTime,
    kMinOverTime,
    kMaxOverTime,
    kSumOverTime,
    kCountOverTime,
    kLastOverTime,
    kPresentOverTime,
    kQuantileOverTime,
    kStddevOverTime,
    kAbsent,
    kAbsentOverTime,
    kHistogramQuantile,
    kAbs,
    kCeil,
    kFloor,
    kClampMin,
    kClampMax,
    kTimestamp,
    kTime,
    kScalar,
    kVector
};
enum class Aggregate : std::uint8_t { kSum, kAvg, kMin, kMax, kCount };
enum class Operator : std::uint8_t {
    kAdd,
    kSubtract,
    kMultiply,
    kDivide,
    kModulo,
    kPower,
    kEqual,
    kNotEqual,
    kAbove,
    kAtLeast,
    kBelow,
    kAtMost,
    kAnd,
    kOr,
    kUnless
};

constexpr bool is_comparison(Operator op) {
    return op >= Operator::kEqual && op <= Operator::kAtMost;
}
constexpr bool is_set(Operator op) {
    return op >= Operator::kAnd;
}

// What an expression gives: one number, a number for each series, or points of each series.
enum class Type : std::uint8_t { kScalar, kVector, kRange };

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
    Kind kind = Kind::kNumber;
    Type type = Type::kScalar;
    std::size_t begin = 0;  // Where in the text it stands: [begin, end).
    std::size_t end = 0;

    double number = 0;  // kNumber

    // kSelector
    std::string metric;
    std::vector<schemas::Matcher> matchers;  // Without the metric's name.
    std::chrono::milliseconds range{0};      // Only for Type::kRange.
    std::chrono::milliseconds offset{0};
    std::size_t selector = 0;  // Numbered from 0 in the order of the text.

    Function function{};  // kCall
    Aggregate aggregate{};
    Operator op{};         // kBinary
    bool as_bool = false;  // A comparison that gives 0 or 1 instead of choosing.

    // kAggregate: the labels of by or without. kBinary: those of on or ignoring.
    bool with = false;  // by, on; else without, ignoring, or nothing of either.
    std::vector<std::string> labels;
    enum class Group : std::uint8_t { kNone, kLeft, kRight } group{};
    std::vector<std::string> include;  // Of group_left, group_right.

    std::vector<ExpressionPtr> operands;
};

// Why a text is not taken: `at` is the byte of the text at which it is wrong.
struct Fault {
    std::size_t at = 0;
    std::string what;
};

// The tree of a text. A fault says what is no PromQL, and what is PromQL but not in the part above.
// Bounded: a text of more than kTextBytesMax bytes or nested deeper than kDepthMax is refused.
inline constexpr std::size_t kTextBytesMax = 16 * 1024;
inline constexpr int kDepthMax = 60;
std::expected<ExpressionPtr, Fault> parse(std::string_view text);

// "line 2, column 7" of a byte of a text, both from 1.
struct Place {
    std::size_t line = 1;
    std::size_t column = 1;
};
Place place_of(std::string_view text, std::size_t at);

// All selectors of a tree, in the order of the text.
void collect_selectors(const Expression& expression, std::vector<const Expression*>& out);

}  // namespace vigie::detectors::promql
