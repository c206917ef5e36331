#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "detectors/codec.h"

namespace vigie::detectors {

// The words of a log line with what varies masked: <num>, <hex>, <id> (UUID), <ip>, <str>
// (quoted). In a line that is a JSON object, braces, quotes, colons and commas separate words
// instead, so that its texts stay visible. At most `tokens_max` words.
std::vector<std::string> mask_line(std::string_view line, std::size_t tokens_max);

// Groups log lines by template, in the way of Drain (He, Zhu, Zheng, Lyu: Drain: An Online Log
// Parsing Approach with Fixed Depth Tree, ICWS 2017): the tree is the number of words, then the
// first two words; at a leaf the template with the most equal words takes the line if that is
// enough of them, and its unequal words become <*>.
class TemplateMiner {
public:
    struct Template {
        std::vector<std::string> words;
        std::uint64_t lines = 0;
        bool novel = false;  // For the caller: still news.

        std::string text() const;
    };

    TemplateMiner(double similarity_min, std::size_t templates_max)
        : similarity_min_(similarity_min), templates_max_(templates_max) {}

    struct Match {
        Template* found = nullptr;  // nullptr: another template is needed, but there is no room.
        bool added = false;         // The line is the first of its template.
    };
    Match match(std::vector<std::string> words);  // The pointer is good until the next call.

    std::size_t size() const { return size_; }
    template <class Visit>
    void for_each(const Visit& visit) {
        for (auto& [leaf, templates] : leaves_) {
            for (Template& each : templates) visit(each);
        }
    }

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    double similarity_min_;
    std::size_t templates_max_;
    std::size_t size_ = 0;
    std::map<std::string, std::vector<Template>, std::less<>> leaves_;
};

}  // namespace vigie::detectors
