// Any bytes as log lines: tokens stay within their line, memory within its bounds, and a miner that
// was saved and loaded goes on as the one that was not. Loading any bytes does no harm either.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "detectors/logs/miner.h"

namespace {

using namespace vigie::detectors;

std::string saved(const LogMiner& miner) {
    Encoder out;
    miner.save(out);
    return std::move(out).seal('f');
}

void load_any(std::string_view bytes, const MinerOptions& options) {
    Encoder out;
    out.text(bytes);
    std::string sealed = std::move(out).seal('f');
    auto in = Decoder::open(sealed, 'f', "miner");
    VIGIE_ASSERT(in.has_value());
    in->u64();  // The length, so that the content is what is read.
    LogMiner miner(options);
    miner.load(*in);
    if (in->failed()) return;
    miner.learn("a line 1 of b");
    saved(miner);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    MinerOptions options;
    options.templates_max = 8;
    options.tokens_max = 16;
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    load_any(bytes, options);
    LogMiner whole(options);
    LogMiner parts(options);
    while (!bytes.empty()) {
        const std::string_view line = bytes.substr(0, bytes.find('\n'));
        bytes.remove_prefix(line.size() < bytes.size() ? line.size() + 1 : line.size());
        const auto one = whole.learn(line);
        std::size_t end = 0;
        for (const LogToken& token : whole.tokens()) {
            VIGIE_ASSERT(token.begin >= end && token.end >= token.begin);
            end = token.end;
        }
        VIGIE_ASSERT(end <= line.size() && whole.tokens().size() <= options.tokens_max);
        VIGIE_ASSERT(whole.size() <= options.templates_max);
        const std::string state = saved(parts);
        auto in = Decoder::open(state, 'f', "miner");
        VIGIE_ASSERT(in.has_value());
        parts.load(*in);
        VIGIE_ASSERT(in->finish().has_value());
        const auto other = parts.learn(line);
        VIGIE_ASSERT(one.id == other.id && one.added == other.added);
        VIGIE_ASSERT(whole.text(one.id) == parts.text(one.id));
    }
    VIGIE_ASSERT(saved(whole) == saved(parts));
    return 0;
}
