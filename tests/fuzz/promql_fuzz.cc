// Rule files of Prometheus, and the expressions in them: whatever is taken is a rule that can be
// evaluated; whatever is not has a place inside the text.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/import_prometheus_rules.h"
#include "core/result.h"
#include "detectors/rules/promql.h"
#include "detectors/rules/rules.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;

void evaluate(const std::string& text) {
    Rule rule;
    rule.name = "r";
    rule.expression = text;
    const auto detector = make_rule_detector({.rules = {rule}});
    if (!detector) {
        VIGIE_ASSERT(detector.error().kind == ErrorKind::kInvalid);
        return;
    }
    const auto tree = promql::parse(text);
    VIGIE_ASSERT(tree.has_value());
    std::vector<const promql::Expression*> selectors;
    promql::collect_selectors(**tree, selectors);
    Findings out;
    for (int i = 0; i < 6; ++i) {
        const EventTime now = event_time_from_micros(1'700'000'000'000'000 + i * 60'000'000);
        for (const promql::Expression* selector : selectors) {
            VIGIE_ASSERT(selector->begin < selector->end && selector->end <= text.size());
            schemas::Labels labels{{"job", "a"}, {"le", i % 2 == 0 ? "1" : "+Inf"}};
            (*detector)->observe(
                std::vector<schemas::TimeSeries>{{selector->metric, labels, {}, {{now, 1.5 * i}}}},
                out);
        }
        (*detector)->advance(now, out);
    }
    VIGIE_ASSERT((*make_rule_detector({.rules = {rule}}))->load((*detector)->save()).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto tree = promql::parse(text); !tree) {
        VIGIE_ASSERT(tree.error().at <= text.size() && !tree.error().what.empty());
    }
    evaluate(text);
    std::set<std::string> names;
    const auto imported = app::import_prometheus_rules(text, "f", names);
    VIGIE_ASSERT(imported || imported.error().kind == ErrorKind::kInvalid);
    return 0;
}
