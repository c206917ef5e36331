#include "detectors/logs/sequences.h"

#include <algorithm>

#include "detectors/logs/tail.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kTracesMax = 2000;
constexpr std::size_t kPairsMax = 20'000;
constexpr std::uint64_t kTracesNeeded = 200;
constexpr std::uint64_t kPairsNeeded = 100;  // Of both templates, to judge a pair of them.
constexpr std::uint64_t kPairUsual = 10;     // Seen so often, it is no break.
constexpr std::uint32_t kBreaksMin = 3;
constexpr double kUsualSteps = 180;
constexpr std::size_t kTraceBytesMax = 64;

}  // namespace

bool LogSequences::add(std::string_view trace, TemplateId id) {
    trace = trace.substr(0, kTraceBytesMax);
    const auto at = last_.find(trace);
    if (at == last_.end()) {
        if (order_.size() >= kTracesMax) {
            last_.erase(order_.front());
            order_.pop_front();
        }
        ++traces_;
        last_.emplace(trace, id);
        order_.emplace_back(trace);
        return false;
    }
    const std::pair pair{std::exchange(at->second, id), id};
    const auto known = pairs_.find(pair);
    Pairs& first = seen_[pair.first];
    Pairs& second = seen_[pair.second];
    const bool rare = known == pairs_.end() || known->second < kPairUsual;
    const bool broken = rare && traces_ >= kTracesNeeded && first.before >= kPairsNeeded &&
                        second.after >= kPairsNeeded;
    ++first.before;
    ++second.after;
    if (known != pairs_.end()) {
        ++known->second;
    } else if (pairs_.size() < kPairsMax) {
        pairs_.emplace(pair, 1);
    }
    if (broken && broken_ != trace) {
        broken_ = trace;
        ++breaks_;
    }
    return broken;
}

LogSequences::Verdict LogSequences::close_step() {
    ++steps_;
    const double floor = 0.5 / steps_;
    const double expected = std::max(breaks_usual_, floor);
    Verdict verdict{0, breaks_, expected};
    if (breaks_ >= kBreaksMin) verdict.nats = poisson_high_nats(breaks_, expected);
    return verdict;
}

void LogSequences::learn() {
    breaks_usual_ += (breaks_ - breaks_usual_) / std::min<double>(steps_, kUsualSteps);
    breaks_ = 0;
}

void LogSequences::rename(TemplateId from, TemplateId into) {
    for (auto& [trace, id] : last_) {
        if (id == from) id = into;
    }
    std::map<std::pair<TemplateId, TemplateId>, std::uint64_t> renamed;
    for (const auto& [pair, count] : pairs_) {
        renamed[{pair.first == from ? into : pair.first,
                 pair.second == from ? into : pair.second}] += count;
    }
    pairs_ = std::move(renamed);
    if (const auto node = seen_.extract(from)) {
        seen_[into].before += node.mapped().before;
        seen_[into].after += node.mapped().after;
    }
}

void LogSequences::forget(TemplateId id) {
    std::erase_if(pairs_, [id](const auto& each) {
        return each.first.first == id || each.first.second == id;
    });
    seen_.erase(id);
}

void LogSequences::save(Encoder& out) const {
    out.u64(order_.size());
    for (const std::string& trace : order_) {
        out.text(trace);
        out.u64(last_.at(trace));
    }
    out.u64(pairs_.size());
    for (const auto& [pair, count] : pairs_) {
        out.u64(pair.first);
        out.u64(pair.second);
        out.u64(count);
    }
    out.u64(seen_.size());
    for (const auto& [id, pairs] : seen_) {
        out.u64(id);
        out.u64(pairs.before);
        out.u64(pairs.after);
    }
    out.u64(traces_);
    out.u64(breaks_);
    out.text(broken_);
    out.f64(breaks_usual_);
    out.u64(steps_);
}

void LogSequences::load(Decoder& in) {
    *this = {};
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        std::string trace = in.text();
        if (!last_.emplace(trace, static_cast<TemplateId>(in.u64())).second) in.set_failed();
        order_.push_back(std::move(trace));
    }
    for (std::size_t left = in.count(3); left > 0 && !in.failed(); --left) {
        const auto first = static_cast<TemplateId>(in.u64());
        const auto second = static_cast<TemplateId>(in.u64());
        pairs_[{first, second}] = in.u64();
    }
    for (std::size_t left = in.count(3); left > 0 && !in.failed(); --left) {
        Pairs& pairs = seen_[static_cast<TemplateId>(in.u64())];
        pairs.before = in.u64();
        pairs.after = in.u64();
    }
    traces_ = in.u64();
    breaks_ = static_cast<std::uint32_t>(in.u64());
    broken_ = in.text();
    breaks_usual_ = in.f64();
    steps_ = static_cast<std::uint32_t>(in.u64());
    if (order_.size() > kTracesMax || pairs_.size() > kPairsMax ||
        !(breaks_usual_ >= 0 && breaks_usual_ < 1e12)) {
        in.set_failed();
    }
}

}  // namespace vigie::detectors
