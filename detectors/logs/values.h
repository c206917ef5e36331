#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "detectors/codec.h"

namespace vigie::detectors {

// One number that the lines of a template carry: how it is usually distributed, in eighths of a
// decade of its magnitude, and what it was in the block of time that is under way.
class NumberHistory {
public:
    void add(double value);

    struct Verdict {
        double nats = 0;       // How unlikely the block is; 0 when it cannot be judged.
        double median = 0;     // Of the block, to an eighth of a decade,
        double usual = 0;      // and of what was before.
        bool shifted = false;  // The medians are a decade apart.
    };
    // The block is over; keep() or drop() follows.
    Verdict judge() const;
    // The block was usual, or is from now on.
    void keep();
    void drop();
    // A number that shifted before without need, such as a clock or a counter, is trusted less.
    void count_surprise() { surprises_ += 1; }
    bool steady() const { return surprises_ < 2.5; }
    std::uint32_t blocks() const { return blocks_; }
    void merge(const NumberHistory& other);

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Counts {
        std::vector<std::pair<std::int32_t, std::uint32_t>> buckets;  // Ascending.
        std::uint32_t total = 0;

        void put(std::int32_t bucket, std::uint32_t count);
        void put(const Counts& other);
        std::int32_t median() const;
        void save(Encoder& out) const;
        void load(Decoder& in);
    };
    Verdict compare(const Counts& block) const;

    Counts usual_;
    Counts last_;  // The block before, kept apart until it is clear that nothing began in it.
    Counts now_;
    std::uint32_t blocks_ = 0;
    double surprises_ = 0;  // Halved in half a day.
};

// One text that the lines of a template carry, while it is one of a few.
class TextHistory {
public:
    void add(std::uint64_t hash, std::string_view text);

    // A text never seen before that came in most of a handful of lines, or empty.
    std::string_view news() const;
    void end_block();  // What was new is known from now on.

    void merge(const TextHistory& other);
    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    void learn(std::uint64_t hash, std::uint32_t lines);

    std::vector<std::pair<std::uint64_t, std::uint32_t>> known_;
    bool many_ = false;  // Too many to tell apart: not judged.
    std::uint32_t lines_ = 0;
    std::uint32_t last_new_ = 0;  // Line at which the set last grew.
    std::uint64_t new_hash_ = 0;
    std::uint32_t new_lines_ = 0;
    std::string new_text_;
};

// A plain decimal number, with a unit of letters or % behind it or without; false for all else.
bool parse_number(std::string_view text, double& value);

}  // namespace vigie::detectors
