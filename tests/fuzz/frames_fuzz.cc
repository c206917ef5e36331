// Messages in a stream: the same however the stream is cut into packets, and never longer than
// allowed. The first byte is the size of the packets.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "http/frames.h"

namespace {

constexpr std::size_t kFrameBytesMax = 40;

std::vector<std::string> split(std::string_view text, std::size_t at_once) {
    vigie::http::FrameSplitter splitter(kFrameBytesMax);
    std::vector<std::string> frames;
    while (!text.empty()) {
        const auto part = text.substr(0, at_once);
        text.remove_prefix(part.size());
        splitter.add(part);
        while (auto frame = splitter.next()) frames.push_back(*std::move(frame));
    }
    if (auto frame = splitter.rest()) frames.push_back(*std::move(frame));
    return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = split(text, std::max<std::size_t>(text.size(), 1));
    const auto parts = split(text, 1 + data[0] % 7U);
    VIGIE_ASSERT(whole == parts);
    std::size_t bytes = 0;
    for (const auto& frame : whole) {
        VIGIE_ASSERT(!frame.empty() && frame.size() <= kFrameBytesMax);
        bytes += frame.size();
    }
    VIGIE_ASSERT(bytes <= text.size());
    return 0;
}
