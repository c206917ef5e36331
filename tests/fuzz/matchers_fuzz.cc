// Alertmanager's matchers: what is read is written so that it is read again as the same, and a set
// of them answers.
#include <cstdint>

#include "schemas/matchers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace vigie;
    using namespace vigie::schemas;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto matchers = parse_matchers(text);
    if (!matchers) {
        VIGIE_ASSERT(matchers.error().kind == ErrorKind::kInvalid);
        return 0;
    }
    VIGIE_ASSERT(parse_matchers(to_string(*matchers)) == *matchers);
    const auto set = MatcherSet::compile(*matchers);
    VIGIE_ASSERT(set.has_value());
    (void)set->matches({{"alertname", "Down"}, {"job", std::string(text.substr(0, 1000))}},
                       "host:a");
    return 0;
}
