// What lies on disk may have been damaged: whatever the bytes, the readers of streams/rocks/ end
// with an answer, and what they accept is what would be written.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/crc32c.h"
#include "streams/rocks/encoding.h"

namespace {

using namespace vigie::streams;

void read_chunk(std::string_view bytes) {
    std::string buffer;
    auto reader = rocks::ChunkReader::open(bytes, {"in", 0}, 7, buffer);
    if (!reader) return;
    const auto count = static_cast<std::uint32_t>(reader->end_offset() - reader->next_offset());
    std::string records;
    while (reader->next_offset() < reader->end_offset()) {
        const auto record = reader->next();
        if (!record) return;
        rocks::append_record(records, record->message());
    }
    if (!reader->finish()) return;
    // Packed records may have been packed in more than one way.
    std::string again;
    rocks::encode_chunk(count, records, again);
    std::string other;
    auto same = rocks::ChunkReader::open(again, {"in", 0}, 7, other);
    VIGIE_ASSERT(same.has_value());
    for (std::uint32_t i = 0; i < count; ++i) {
        VIGIE_ASSERT(same->next().has_value());
    }
    VIGIE_ASSERT(same->finish().has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    read_chunk(text);
    // With a right check in front, so that the body's reader is reached.
    std::string framed(1, rocks::kFormat);
    vigie::put_u32(framed, 1);
    vigie::put_u32(framed, static_cast<std::uint32_t>(size));
    vigie::put_u32(framed, vigie::crc32c(text));
    read_chunk(framed += text);
    if (const auto topic = rocks::decode_topic("in", text)) {
        VIGIE_ASSERT(rocks::encode_topic(*topic).size() == text.size());
    }
    if (const auto segment = rocks::decode_segment({"in", 0}, text)) {
        VIGIE_ASSERT(rocks::encode_segment(*segment) == text);
    }
    if (const auto key = rocks::parse_chunk_key(text)) {
        VIGIE_ASSERT(rocks::chunk_key(key->partition, key->base) == text);
    }
    return 0;
}
