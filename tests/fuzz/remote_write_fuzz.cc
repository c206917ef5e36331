#include <cstdint>

#include "schemas/series_table.h"
#include "tests/fuzz/telemetry_checks.h"

namespace {

// Version 2.0, once more with every series known: the same must come out.
void check_2(std::string_view bytes) {
    vigie::schemas::SeriesTable table({});
    vigie::schemas::DecodedSamples first;
    vigie::schemas::DecodedSamples second;
    const auto read = [&](vigie::schemas::DecodedSamples& out) {
        return vigie::schemas::decode_samples(bytes, vigie::schemas::kContentRemoteWrite2, "",
                                              vigie::fuzz::kLimits, table, out);
    };
    const bool good = read(first).has_value();
    if (!good) return;
    VIGIE_ASSERT(read(second));
    VIGIE_ASSERT(first.samples.size() == second.samples.size());
    for (std::size_t i = 0; i < first.samples.size(); ++i) {
        const auto& sample = first.samples[i];
        VIGIE_ASSERT(sample.series == second.samples[i].series &&
                     sample.at == second.samples[i].at);
        VIGIE_ASSERT(!table.metric(sample.series).empty());
        vigie::fuzz::check_labels(table.labels(sample.series), 1);
    }
}

}  // namespace

// The first byte chooses the version: 1.0 begins with the tag of its series.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (!bytes.starts_with('\x0a')) check_2(bytes);
    vigie::fuzz::check_series(vigie::schemas::decode_remote_write(bytes, vigie::fuzz::kLimits));
    return 0;
}
