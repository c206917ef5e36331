#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "detectors/rules/promql.h"

// The words of PromQL that its parser knows.
namespace vigie::detectors::promql {

struct Signature {
    std::string_view name;
    Function function;
    Type result;
    std::vector<Type> operands;
};

// nullptr for what is not a function that is supported.
const Signature* signature_of(std::string_view name);
std::optional<Aggregate> aggregate_of(std::string_view name);
// Why we do not have what Prometheus has: "it orders series"; nullopt when Prometheus has no such
// thing either, or when there is no more to say than that we do not.
std::optional<std::string_view> why_not(std::string_view name);

struct OperatorWord {
    std::string_view text;
    Operator op;
    int strength;  // The larger binds more tightly.
};
const OperatorWord* operator_of(std::string_view text);

std::string_view type_name(Type type);

}  // namespace vigie::detectors::promql
