#include "detectors/rules/promql_words.h"

#include <algorithm>
#include <array>

namespace vigie::detectors::promql {

namespace {

const std::vector<Signature>& signatures() {
    using enum Function;
    constexpr Type kS = Type::kScalar;
    constexpr Type kV = Type::kVector;
    constexpr Type kR = Type::kRange;
    static const std::vector<Signature> all{
        {"rate", kRate, kV, {kR}},
        {"irate", kIrate, kV, {kR}},
        {"increase", kIncrease, kV, {kR}},
        {"delta", kDelta, kV, {kR}},
        {"idelta", kIdelta, kV, {kR}},
        {"deriv", kDeriv, kV, {kR}},
        {"predict_linear", kPredictLinear, kV, {kR, kS}},
        {"changes", kChanges, kV, {kR}},
        {"resets", kResets, kV, {kR}},
        {"avg_over_time", kAvgOverTime, kV, {kR}},
        {"min_over_time", kMinOverTime, kV, {kR}},
        {"max_over_time", kMaxOverTime, kV, {kR}},
        {"sum_over_time", kSumOverTime, kV, {kR}},
        {"count_over_time", kCountOverTime, kV, {kR}},
        {"last_over_time", kLastOverTime, kV, {kR}},
        {"present_over_time", kPresentOverTime, kV, {kR}},
        {"quantile_over_time", kQuantileOverTime, kV, {kS, kR}},
        {"stddev_over_time", kStddevOverTime, kV, {kR}},
        {"absent", kAbsent, kV, {kV}},
        {"absent_over_time", kAbsentOverTime, kV, {kR}},
        {"histogram_quantile", kHistogramQuantile, kV, {kS, kV}},
        {"abs", kAbs, kV, {kV}},
        {"ceil", kCeil, kV, {kV}},
        {"floor", kFloor, kV, {kV}},
        {"clamp_min", kClampMin, kV, {kV, kS}},
        {"clamp_max", kClampMax, kV, {kV, kS}},
        {"timestamp", kTimestamp, kV, {kV}},
        {"time", kTime, kS, {}},
        {"scalar", kScalar, kS, {kV}},
        {"vector", kVector, kV, {kS}}};
    return all;
}

constexpr std::array<OperatorWord, 15> kOperators{{{"or", Operator::kOr, 1},
                                                   {"and", Operator::kAnd, 2},
                                                   {"unless", Operator::kUnless, 2},
                                                   {"==", Operator::kEqual, 3},
                                                   {"!=", Operator::kNotEqual, 3},
                                                   {">", Operator::kAbove, 3},
                                                   {">=", Operator::kAtLeast, 3},
                                                   {"<", Operator::kBelow, 3},
                                                   {"<=", Operator::kAtMost, 3},
                                                   {"+", Operator::kAdd, 4},
                                                   {"-", Operator::kSubtract, 4},
                                                   {"*", Operator::kMultiply, 5},
                                                   {"/", Operator::kDivide, 5},
                                                   {"%", Operator::kModulo, 5},
                                                   {"^", Operator::kPower, 7}}};

}  // namespace

const Signature* signature_of(std::string_view name) {
    const auto& all = signatures();
    const auto found = std::ranges::find(all, name, &Signature::name);
    return found == all.end() ? nullptr : &*found;
}

std::optional<Aggregate> aggregate_of(std::string_view name) {
    static constexpr std::array<std::string_view, 5> kNames{"sum", "avg", "min", "max", "count"};
    const auto found = std::ranges::find(kNames, name);
    if (found == kNames.end()) return std::nullopt;
    return static_cast<Aggregate>(found - kNames.begin());
}

std::optional<std::string_view> why_not(std::string_view name) {
    struct Other {
        std::string_view name;
        std::string_view why;
    };
    constexpr std::string_view kOrders = "it orders or chooses series";
    constexpr std::string_view kRenames = "it renames series";
    constexpr std::string_view kSpread = "sum, avg, min, max and count are the aggregates here";
    static constexpr std::array<Other, 14> kOthers{{{"topk", kOrders},
                                                    {"bottomk", kOrders},
                                                    {"limitk", kOrders},
                                                    {"limit_ratio", kOrders},
                                                    {"sort", kOrders},
                                                    {"sort_desc", kOrders},
                                                    {"label_replace", kRenames},
                                                    {"label_join", kRenames},
                                                    {"count_values", kRenames},
                                                    {"quantile", kSpread},
                                                    {"stddev", kSpread},
                                                    {"stdvar", kSpread},
                                                    {"group", kSpread},
                                                    {"sort_by_label", kOrders}}};
    const auto* const found = std::ranges::find(kOthers, name, &Other::name);
    return found == kOthers.end() ? std::nullopt : std::optional(found->why);
}

const OperatorWord* operator_of(std::string_view text) {
    const auto found = std::ranges::find(kOperators, text, &OperatorWord::text);
    return found == kOperators.end() ? nullptr : &*found;
}

std::string_view type_name(Type type) {
    static constexpr std::array<std::string_view, 3> kNames{"a number", "series", "a range"};
    return kNames.at(static_cast<std::size_t>(type));
}

}  // namespace vigie::detectors::promql
