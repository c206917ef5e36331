// Lines of the files that `vigie detector replay` and `propose` read.
#include <cmath>
#include <cstdint>
#include <string_view>

#include "app/series_csv.h"
#include "core/result.h"
#include "detectors/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    while (true) {
        const std::size_t end = rest.find('\n');
        const auto row = vigie::app::parse_series_row(rest.substr(0, end));
        if (row) {
            VIGIE_ASSERT(vigie::detectors::plausible(row->at));
            VIGIE_ASSERT(!row->value || std::isfinite(*row->value));
            VIGIE_ASSERT(row->time_text.size() + row->value_text.size() < rest.size());
        } else {
            VIGIE_ASSERT(row.error().kind == vigie::ErrorKind::kInvalid);
            VIGIE_ASSERT(!row.error().message.empty() && row.error().message.size() < 1000);
        }
        if (end == std::string_view::npos) return 0;
        rest.remove_prefix(end + 1);
    }
}
