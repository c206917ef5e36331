#include "detectors/logs/values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "detectors/logs/tail.h"

namespace vigie::detectors {

namespace {

constexpr double kBucketsPerDecade = 8;
constexpr std::int32_t kBucketMax = 160;  // 10^20
constexpr std::uint32_t kUsualCountMin = 100;
constexpr std::uint32_t kUsualCountMax = 20'000;  // Then all counts are halved.
constexpr std::uint32_t kBlockCountMin = 4;
constexpr std::uint32_t kBlockCountMax = 1'000'000;
constexpr double kSurpriseKept = 0.9952;  // Each block; half in 144.
constexpr std::size_t kTextsMax = 8;
constexpr std::uint32_t kTextLinesMin = 500;
constexpr std::uint32_t kNewLinesMin = 5;
constexpr std::size_t kTextBytesMax = 100;
constexpr std::size_t kNumberBytesMax = 24;
constexpr std::size_t kUnitBytesMax = 5;

std::int32_t bucket_of(double value) {
    const double size = kBucketsPerDecade * std::log10(1 + std::abs(value));
    const auto bucket = static_cast<std::int32_t>(std::min<double>(size, kBucketMax));
    return value < 0 ? -1 - bucket : bucket;
}

double value_of(std::int32_t bucket) {
    if (bucket < 0) return -value_of(-1 - bucket);
    return std::pow(10.0, (bucket + 0.5) / kBucketsPerDecade) - 1;
}

}  // namespace

void NumberHistory::Counts::put(std::int32_t bucket, std::uint32_t count) {
    const auto at =
        std::ranges::lower_bound(buckets, bucket, {}, [](const auto& each) { return each.first; });
    total += count;
    if (at != buckets.end() && at->first == bucket) {
        at->second += count;
    } else {
        buckets.insert(at, {bucket, count});
    }
}

void NumberHistory::Counts::put(const Counts& other) {
    for (const auto& [bucket, count] : other.buckets) put(bucket, count);
}

std::int32_t NumberHistory::Counts::median() const {
    std::uint64_t below = 0;
    for (const auto& [bucket, count] : buckets) {
        below += count;
        if (2 * below >= total) return bucket;
    }
    return 0;
}

void NumberHistory::add(double value) {
    if (now_.total < kBlockCountMax) now_.put(bucket_of(value), 1);
}

NumberHistory::Verdict NumberHistory::compare(const Counts& block) const {
    Verdict verdict;
    if (block.total < kBlockCountMin || usual_.total < kUsualCountMin) return verdict;
    const double all = block.total;
    const double usual = usual_.total;
    // From each bucket upwards, and up to it: how many should be there, and how many are.
    double before = 0;
    for (const auto& [bucket, count] : block.buckets) {
        double usual_below = 0;
        double usual_up_to = 0;
        for (const auto& [other, times] : usual_.buckets) {
            if (other < bucket) usual_below += times;
            if (other <= bucket) usual_up_to += times;
        }
        const double above = (usual - usual_below + 1) / (usual + 2);
        const double below = (usual_up_to + 1) / (usual + 2);
        verdict.nats = std::max({verdict.nats, binomial_high_nats(all - before, all, above),
                                 binomial_high_nats(before + count, all, below)});
        before += count;
    }
    verdict.nats -= std::log(2.0 * static_cast<double>(block.buckets.size()));
    verdict.shifted = std::abs(block.median() - usual_.median()) >= kBucketsPerDecade;
    verdict.median = value_of(block.median());
    verdict.usual = value_of(usual_.median());
    return verdict;
}

NumberHistory::Verdict NumberHistory::judge() const {
    const Verdict one = compare(now_);
    if (one.nats <= 0 || last_.total == 0) return one;
    Counts both = last_;
    both.put(now_);
    Verdict two = compare(both);
    two.nats -= std::log(2.0);
    return two.shifted && two.nats > one.nats ? two : one;
}

void NumberHistory::keep() {
    usual_.put(last_);
    if (usual_.total > kUsualCountMax) {
        usual_.total = 0;
        for (auto& [bucket, count] : usual_.buckets) usual_.total += count /= 2;
        std::erase_if(usual_.buckets, [](const auto& each) { return each.second == 0; });
    }
    const Counts now = std::move(now_);
    drop();
    last_ = now;
}

void NumberHistory::drop() {
    if (now_.total > 0) ++blocks_;
    last_ = {};
    now_ = {};
    surprises_ *= kSurpriseKept;
}

void NumberHistory::merge(const NumberHistory& other) {
    usual_.put(other.usual_);
    last_.put(other.last_);
    now_.put(other.now_);
    blocks_ = std::max(blocks_, other.blocks_);
    surprises_ = std::max(surprises_, other.surprises_);
}

void NumberHistory::Counts::save(Encoder& out) const {
    out.u64(buckets.size());
    for (const auto& [bucket, count] : buckets) {
        out.i64(bucket);
        out.u64(count);
    }
}

void NumberHistory::Counts::load(Decoder& in) {
    *this = {};
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        const std::int64_t bucket = in.i64();
        const std::uint64_t count = in.u64();
        if (std::abs(bucket) > kBucketMax + 1 || count == 0 || count > kBlockCountMax ||
            (!buckets.empty() && bucket <= buckets.back().first)) {
            return in.set_failed();
        }
        put(static_cast<std::int32_t>(bucket), static_cast<std::uint32_t>(count));
    }
}

void NumberHistory::save(Encoder& out) const {
    for (const Counts* counts : {&usual_, &last_, &now_}) counts->save(out);
    out.u64(blocks_);
    out.f64(surprises_);
}

void NumberHistory::load(Decoder& in) {
    *this = {};
    for (Counts* counts : {&usual_, &last_, &now_}) counts->load(in);
    blocks_ = static_cast<std::uint32_t>(in.u64());
    surprises_ = in.f64();
    if (!(surprises_ >= 0 && surprises_ < 1e9)) in.set_failed();
}

void TextHistory::add(std::uint64_t hash, std::string_view text) {
    if (many_) return;
    ++lines_;
    const auto at = std::ranges::find(known_, hash, [](const auto& each) { return each.first; });
    if (at != known_.end()) {
        if (at->second < std::numeric_limits<std::uint32_t>::max()) ++at->second;
    } else if (lines_ > kTextLinesMin && (new_lines_ == 0 || new_hash_ == hash)) {
        if (new_lines_++ == 0) new_text_ = text.substr(0, kTextBytesMax);
        new_hash_ = hash;
    } else {
        learn(hash, 1);
    }
}

void TextHistory::learn(std::uint64_t hash, std::uint32_t lines) {
    known_.emplace_back(hash, lines);
    last_new_ = lines_;
    if (known_.size() <= kTextsMax) return;
    many_ = true;
    known_ = {};
    new_text_.clear();
}

std::string_view TextHistory::news() const {
    const bool settled = lines_ >= kTextLinesMin && last_new_ < lines_ / 2;
    return !many_ && settled && new_lines_ >= kNewLinesMin ? std::string_view(new_text_) : "";
}

void TextHistory::end_block() {
    if (many_ || new_lines_ == 0) return;
    learn(new_hash_, std::exchange(new_lines_, 0));
    new_text_.clear();
}

void TextHistory::merge(const TextHistory& other) {
    many_ = many_ || other.many_;
    lines_ += other.lines_;
    for (const auto& [hash, count] : other.known_) {
        const auto at =
            std::ranges::find(known_, hash, [](const auto& each) { return each.first; });
        if (at == known_.end()) known_.emplace_back(hash, count);
    }
    last_new_ = lines_;
    many_ = many_ || known_.size() > kTextsMax;
}

void TextHistory::save(Encoder& out) const {
    out.u64(known_.size());
    for (const auto& [hash, count] : known_) {
        out.u64(hash);
        out.u64(count);
    }
    out.flag(many_);
    out.u64(lines_);
    out.u64(last_new_);
    out.u64(new_hash_);
    out.u64(new_lines_);
    out.text(new_text_);
}

void TextHistory::load(Decoder& in) {
    *this = {};
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        const std::uint64_t hash = in.u64();
        known_.emplace_back(hash, static_cast<std::uint32_t>(in.u64()));
    }
    many_ = in.flag();
    lines_ = static_cast<std::uint32_t>(in.u64());
    last_new_ = static_cast<std::uint32_t>(in.u64());
    new_hash_ = in.u64();
    new_lines_ = static_cast<std::uint32_t>(in.u64());
    new_text_ = in.text();
}

bool parse_number(std::string_view text, double& value) {
    if (text.empty() || text.size() > kNumberBytesMax) return false;
    const std::size_t sign = text.front() == '-' || text.front() == '+' ? 1 : 0;
    std::size_t end = sign;
    std::size_t dots = 0;
    for (; end < text.size(); ++end) {
        const char c = text[end];
        if (c == '.') {
            ++dots;
        } else if (c < '0' || c > '9') {
            break;
        }
    }
    if (end == sign || dots > 1 || text[end - 1] == '.' || text.size() - end > kUnitBytesMax) {
        return false;
    }
    const auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%';
    };
    // 0x10 and 7f are no decimal numbers with a unit; 12ms is.
    if (!std::ranges::all_of(text.substr(end), letter)) return false;
    const char* begin = text.data() + (text.front() == '+' ? 1 : 0);
    return std::from_chars(begin, text.data() + end, value).ec == std::errc{};
}

}  // namespace vigie::detectors
