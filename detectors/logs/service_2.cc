#include "detectors/logs/service.h"

// Reads a service as format 2 of the log detector's state had it: templates as lists of words.
namespace vigie::detectors {

namespace {

// A line that such a template may have come from. Its masks stood for numbers and the like.
std::string line_like(const std::vector<std::string>& words) {
    std::string line;
    for (const std::string& word : words) {
        if (!line.empty()) line += ' ';
        for (std::size_t at = 0; at < word.size();) {
            const std::size_t end = word[at] == '<' ? word.find('>', at) : std::string::npos;
            if (end == std::string::npos) {
                line += word[at++];
            } else {
                line += '1';
                at = end + 1;
            }
        }
    }
    return line;
}

}  // namespace

void LogService::load_2(Decoder& in) {
    entity_.value = in.text();
    in.time();
    last_at_ = in.time();
    // It warms up again: not every template is found as it was.
    first_at_ = last_at_;
    in.u64();
    for (std::size_t leaves = in.count(2); leaves > 0 && !in.failed(); --leaves) {
        in.text();
        for (std::size_t left = in.count(3); left > 0 && !in.failed(); --left) {
            std::vector<std::string> words;
            for (std::size_t word = in.count(1); word > 0; --word) words.push_back(in.text());
            in.u64();
            const auto match = miner_.learn(line_like(words));
            if (in.flag()) novel_.insert(match.id);
        }
    }
    for (const auto& alias : miner_.take_aliases()) {
        if (novel_.erase(alias.from) > 0) novel_.insert(alias.into);
    }
    for (const auto& gone : miner_.take_forgotten()) novel_.erase(gone.id);
    for (const Kind kind : {kNews, kErrors}) {
        Case& each = cases_[kind];
        each.episode.load(in);
        each.told = each.episode.firing();
        each.signal = kind == kNews ? in.text() : "error lines";
    }
    errors_.load(in);
    burst_values_.load(in);
}

}  // namespace vigie::detectors
