#include <cmath>

#include <fmt/format.h>

#include "detectors/option_check.h"
#include "detectors/rules/promql.h"
#include "detectors/rules/rules.h"

namespace vigie::detectors {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kWindowsMax = 8;

Status check_selector(std::string_view option, const std::string& text) {
    const auto parsed = promql::parse(text);
    if (!parsed) {
        return fail(ErrorKind::kInvalid, fmt::format("burn_rate: {}: column {}: {}", option,
                                                     parsed.error().at + 1, parsed.error().what));
    }
    if ((*parsed)->kind == promql::Kind::kSelector && (*parsed)->type == promql::Type::kVector &&
        (*parsed)->offset.count() == 0) {
        return {};
    }
    return fail(ErrorKind::kInvalid,
                fmt::format("burn_rate: {} must be a selector: NAME{{label=\"value\"}}", option));
}

std::string in_promql(milliseconds span) {
    return span.count() % 1000 == 0 ? fmt::format("{}s", span.count() / 1000)
                                    : fmt::format("{}ms", span.count());
}

}  // namespace

std::vector<BurnRate::Windows> burn_windows_page() {
    using std::chrono::hours;
    using std::chrono::minutes;
    return {{hours{1}, minutes{5}, 14.4}, {hours{6}, minutes{30}, 6}};
}

std::vector<BurnRate::Windows> burn_windows_ticket() {
    using std::chrono::hours;
    return {{hours{72}, hours{6}, 1}};
}

Result<std::string> expression_of(const BurnRate& burn) {
    OptionCheck check("burn_rate");
    check.require(burn.objective > 0 && burn.objective < 1,
                  "objective must be between 0 and 1, such as 0.999");
    check.require(burn.windows.size() <= kWindowsMax, "has more than 8 windows");
    for (const auto& windows : burn.windows) {
        check.span("short", windows.shorter, milliseconds{1000});
        check.span("long", windows.longer, windows.shorter);
        check.range("factor", windows.factor, 0.001, 1e6);
    }
    VIGIE_TRY(check.status());
    VIGIE_TRY(check_selector("bad", burn.bad));
    VIGIE_TRY(check_selector("total", burn.total));
    const std::string by = burn.by.empty() ? "" : fmt::format(" by ({})", fmt::join(burn.by, ", "));
    const auto part = [&](milliseconds window, double factor) {
        const std::string span = in_promql(window);
        const std::string total = fmt::format("sum{}(rate({}[{}]))", by, burn.total, span);
        // No bad event among those there are is none of them: nobody counts errors before the
        // first.
        return fmt::format("(sum{0}(rate({1}[{2}])) or {3} * 0) / {3} > {4} * {5:.12g}", by,
                           burn.bad, span, total, factor, 1 - burn.objective);
    };
    std::string expression;
    for (const auto& [longer, shorter, factor] :
         burn.windows.empty() ? burn_windows_page() : burn.windows) {
        if (!expression.empty()) expression += "\nor\n";
        expression += fmt::format("({}\n and {})", part(longer, factor), part(shorter, factor));
    }
    return expression;
}

}  // namespace vigie::detectors
