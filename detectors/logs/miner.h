#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "detectors/codec.h"
#include "detectors/logs/flat_map.h"
#include "detectors/logs/lexer.h"

namespace vigie::detectors {

using TemplateId = std::uint32_t;

struct MinerOptions {
    std::size_t templates_max = 10'000;  // Beyond this, those not seen for longest are forgotten.
    std::size_t tokens_max = 128;        // The rest of a line is one variable.
    std::vector<std::string> masks;      // Words that these globs match are variables, too.
};

// `from` is `into` from now on.
struct TemplateAlias {
    TemplateId from = 0;
    TemplateId into = 0;
};

// A template that had to make room, as it was.
struct ForgottenTemplate {
    TemplateId id = 0;
    std::string text;
};

// Finds the templates of one stream of log lines, line by line. A line's template is known by its
// tokens (lexer.h) with variables taken out: one look-up by hash. Templates that differ in one
// token only are joined once that token has shown so many values that it is none of the
// program's own words; the oldest id lives on, the others become aliases of it. Ids are never used
// twice. Deterministic: the same lines in the same order give the same ids, with restarts or
// without. Memory is bounded by the options: about 1.2 KB for a template of 15 words.
class LogMiner {
public:
    explicit LogMiner(MinerOptions options) : options_(std::move(options)) {}

    struct Match {
        TemplateId id = 0;
        bool added = false;  // Seen for the first time, and not joined to another.
    };
    Match learn(std::string_view line);

    // The tokens of the line learned last.
    std::span<const LogToken> tokens() const { return tokens_; }

    // As it is now, "user <*> logged in"; empty for an id that was forgotten or joined.
    std::string text(TemplateId id) const;
    std::uint64_t lines(TemplateId id) const;  // 0 when it is not there.
    std::size_t size() const { return live_; }

    // What was joined, or forgotten, since the last call. To be called after each line or so: what
    // waits here is not saved.
    std::vector<TemplateAlias> take_aliases() { return std::exchange(aliases_, {}); }
    std::vector<ForgottenTemplate> take_forgotten() { return std::exchange(gone_, {}); }

    void save(Encoder& out) const;
    void load(Decoder& in);  // Of a miner with the same options.

private:
    struct Part {
        std::uint64_t hash = 0;
        std::uint64_t gap = 0;
        std::uint8_t gap_bytes = 0;   // Of the template's text, before it.
        std::uint8_t text_bytes = 0;  // Of kDigits and kValue: as first seen.
        std::uint8_t items = 1;
        std::uint8_t between = 0;
        TokenKind kind = TokenKind::kWord;
        bool joined = false;  // Became a variable because of its many values.
        bool varied = false;  // kDigits, kValue: more than one text was seen.
    };
    struct Template {
        TemplateId id = 0;
        bool live = false;
        std::uint32_t steady = 0;  // Parts of kDigits and kValue that have not varied.
        std::uint64_t lines = 0;
        std::uint64_t last = 0;  // Number of the line that was the last of it.
        std::uint64_t key = 0;
        std::uint64_t tail = 0;  // Hash of what follows the last token.
        std::vector<Part> parts;
        std::string text;
    };
    struct Member {
        std::uint32_t slot = 0;
        TemplateId id = 0;
        std::uint32_t next = 0;
    };

    static bool is_tracked(const Part& part);
    static bool fits(const Template& each, std::span<const LogToken> tokens, std::uint64_t tail);
    static std::string_view text_of(const Template& each, std::size_t at);
    static std::string render(const Template& each);
    static Template load_template(Decoder& in);
    static std::uint64_t key_of(const Template& each);
    static std::uint64_t bucket_of(const Template& each, std::size_t at);
    static std::uint64_t shape_of(const Template& each);
    static void count_steady(Template& each);
    static void take_in(Template& into, const Template& other);

    void apply_masks(std::string_view line);
    std::uint32_t find_joined() const;
    std::uint32_t add(std::string_view line, std::uint64_t key);
    void see_values(Template& found, std::string_view line);
    void index(std::uint32_t slot);
    std::uint32_t join_where_due(std::uint32_t slot);
    bool is_due(std::span<const std::uint32_t> slots, std::size_t at) const;
    std::uint32_t join(std::span<const std::uint32_t> slots, std::size_t at);
    std::vector<std::uint32_t> members(std::uint64_t bucket, std::size_t at) const;
    void place(std::uint32_t slot);
    void remove(std::uint32_t slot);
    void make_room();
    void rebuild_index();

    MinerOptions options_;
    std::vector<LogToken> tokens_;
    std::uint64_t tail_ = 0;

    // Saved.
    std::vector<Template> templates_;
    TemplateId next_id_ = 1;
    std::uint64_t clock_ = 0;  // Lines learned.

    // Made from that.
    std::size_t live_ = 0;
    std::vector<std::uint32_t> free_;
    FlatMap by_key_;
    FlatMap variants_;  // Keys of lines that fit a joined template: a cache.
    std::unordered_map<TemplateId, std::uint32_t> by_id_;
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> joined_;  // By shape.
    FlatMap buckets_;  // Templates alike but for one token: the first of its members.
    std::vector<Member> members_;
    std::size_t members_max_ = 0;  // Then those that are no more are taken out.
    std::vector<TemplateAlias> aliases_;
    std::vector<ForgottenTemplate> gone_;
};

}  // namespace vigie::detectors
