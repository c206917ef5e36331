#include <algorithm>
#include <bit>

#include "detectors/logs/miner.h"

// The saved state of a miner: its templates by id. What is made from them is made again.
namespace vigie::detectors {

namespace {

constexpr std::size_t kPartBytesMin = 21;
constexpr std::size_t kTemplateBytesMin = 13;

void put_hash(std::uint64_t hash, Encoder& out) {
    out.f64(std::bit_cast<double>(hash));
}

std::uint64_t get_hash(Decoder& in) {
    return std::bit_cast<std::uint64_t>(in.f64());
}

std::uint8_t get_byte(Decoder& in) {
    const std::uint64_t value = in.u64();
    if (value > 0xff) in.set_failed();
    return static_cast<std::uint8_t>(value);
}

}  // namespace

void LogMiner::save(Encoder& out) const {
    out.u64(next_id_);
    out.u64(clock_);
    std::vector<const Template*> by_id;
    for (const Template& each : templates_) {
        if (each.live) by_id.push_back(&each);
    }
    std::ranges::sort(by_id, {}, [](const Template* each) { return each->id; });
    out.u64(by_id.size());
    for (const Template* found : by_id) {
        const Template& each = *found;
        out.u64(each.id);
        out.u64(each.lines);
        out.u64(each.last);
        put_hash(each.tail, out);
        out.text(each.text);
        out.u64(each.parts.size());
        for (const Part& part : each.parts) {
            put_hash(part.hash, out);
            put_hash(part.gap, out);
            out.u64(part.gap_bytes);
            out.u64(part.text_bytes);
            out.u64(part.items);
            out.u64(part.between);
            out.u64(static_cast<std::uint64_t>(part.kind) * 4 + (part.joined ? 2U : 0U) +
                    (part.varied ? 1U : 0U));
        }
    }
}

LogMiner::Template LogMiner::load_template(Decoder& in) {
    Template each;
    each.id = static_cast<TemplateId>(in.u64());
    each.lines = in.u64();
    each.last = in.u64();
    each.tail = get_hash(in);
    each.text = in.text();
    std::size_t bytes = 0;
    for (std::size_t left = in.count(kPartBytesMin); left > 0 && !in.failed(); --left) {
        Part part;
        part.hash = get_hash(in);
        part.gap = get_hash(in);
        part.gap_bytes = get_byte(in);
        part.text_bytes = get_byte(in);
        part.items = get_byte(in);
        part.between = get_byte(in);
        const std::uint64_t rest = in.u64();
        part.varied = (rest & 1U) != 0;
        part.joined = (rest & 2U) != 0;
        if (rest / 4 > static_cast<std::uint64_t>(TokenKind::kVariable)) in.set_failed();
        part.kind = static_cast<TokenKind>(in.failed() ? 0 : rest / 4);
        bytes += std::size_t{part.gap_bytes} + part.text_bytes;
        each.parts.push_back(part);
    }
    if (bytes > each.text.size()) in.set_failed();
    return each;
}

void LogMiner::load(Decoder& in) {
    *this = LogMiner(options_);
    next_id_ = static_cast<TemplateId>(in.u64());
    clock_ = in.u64();
    for (std::size_t left = in.count(kTemplateBytesMin); left > 0 && !in.failed(); --left) {
        Template each = load_template(in);
        if (in.failed()) return;
        if (each.id == 0 || each.id >= next_id_ || by_id_.contains(each.id)) {
            return in.set_failed();
        }
        each.key = key_of(each);
        count_steady(each);
        templates_.push_back(std::move(each));
        place(static_cast<std::uint32_t>(templates_.size() - 1));
    }
    rebuild_index();
}

}  // namespace vigie::detectors
