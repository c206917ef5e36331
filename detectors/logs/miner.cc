#include "detectors/logs/miner.h"

#include <algorithm>

#include "detectors/match.h"

namespace vigie::detectors {

namespace {

constexpr std::string_view kAny = "<*>";
constexpr std::uint32_t kNone = FlatMap::kNone;
constexpr std::size_t kPieceBytesMax = 200;    // Of a template's text, for one word.
constexpr std::size_t kIndexedTokensMax = 48;  // Templates join within these.
constexpr std::size_t kVariantsMin = 4096;
constexpr std::size_t kVariantsPerTemplate = 2;
constexpr std::size_t kMembersSlack = 4096;
constexpr std::size_t kRoomShare = 16;  // One of so many goes when it is full.

// How many values a token must show before it is taken as a variable: in general; where a line
// begins, which is where programs say what they do; and where it shows words such as "started".
constexpr std::size_t kValuesNeeded = 5;
constexpr std::size_t kValuesNeededFirst = 12;
constexpr std::size_t kValuesNeededOwn = 12;

bool is_fixed(TokenKind kind) {
    return kind != TokenKind::kVariable && kind != TokenKind::kValue;
}

// What a token adds to the key of its template. The sum of them is the key, so that a key with
// another token in one place is two additions away.
std::uint64_t term(std::uint64_t hash, std::uint64_t gap, std::size_t at) {
    return mix(hash + gap * 0x9fb21c651e98df25 + at * 0xa0761d6478bd642f);
}

std::string squeezed(std::string_view gap) {
    std::string out;
    for (const char c : gap) {
        const bool blank = c == ' ' || (c >= '\t' && c <= '\r') || c == 0;
        if (!blank) {
            out += c;
        } else if (out.empty() || out.back() != ' ') {
            out += ' ';
        }
        if (out.size() >= kPieceBytesMax) break;
    }
    return out;
}

std::size_t digits_in(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return c >= '0' && c <= '9'; }));
}

}  // namespace

std::string_view LogMiner::text_of(const Template& each, std::size_t at) {
    std::size_t begin = 0;
    for (const Part& part : std::span(each.parts).first(at)) {
        begin += std::size_t{part.gap_bytes} + part.text_bytes;
    }
    return std::string_view(each.text).substr(begin + each.parts[at].gap_bytes,
                                              each.parts[at].text_bytes);
}

LogMiner::Match LogMiner::learn(std::string_view line) {
    ++clock_;
    tail_ = lex_line(line, options_.tokens_max, tokens_);
    if (!options_.masks.empty()) apply_masks(line);
    std::uint64_t key = tail_;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        key += term(tokens_[i].hash, tokens_[i].gap, i);
    }
    std::uint32_t slot = by_key_.find(key);
    if (slot == kNone) slot = variants_.find(key);
    if (slot == kNone) {
        slot = find_joined();
        if (slot != kNone) {
            if (variants_.size() >= kVariantsMin + kVariantsPerTemplate * live_) variants_.clear();
            variants_.set(key, slot);
        }
    }
    bool added = false;
    if (slot == kNone) {
        if (live_ >= options_.templates_max) make_room();
        slot = add(line, key);
        added = true;
        for (std::uint32_t root = slot; root != kNone; root = join_where_due(slot)) {
            added = added && root == slot;
            slot = root;
        }
    }
    Template& found = templates_[slot];
    ++found.lines;
    found.last = clock_;
    if (found.steady > 0) see_values(found, line);
    return {found.id, added};
}

void LogMiner::apply_masks(std::string_view line) {
    for (LogToken& token : tokens_) {
        if (token.kind == TokenKind::kVariable) continue;
        const auto text = line.substr(token.begin, token.end - token.begin);
        const auto hit = [text](const std::string& mask) { return glob_matches(mask, text); };
        if (!std::ranges::any_of(options_.masks, hit)) continue;
        token.kind = TokenKind::kVariable;
        token.hash = kVariableHash;
    }
}

std::uint32_t LogMiner::find_joined() const {
    std::uint64_t shape = tail_;
    for (std::size_t i = 0; i < tokens_.size(); ++i) shape += term(0, tokens_[i].gap, i);
    const auto at = joined_.find(shape);
    if (at == joined_.end()) return kNone;
    std::uint32_t best = kNone;
    for (const std::uint32_t slot : at->second) {
        if (!fits(templates_[slot], tokens_, tail_)) continue;
        if (best == kNone || templates_[slot].id < templates_[best].id) best = slot;
    }
    return best;
}

// What is remembered of its text: a word with digits, a value, and how many are in a row.
bool LogMiner::is_tracked(const Part& part) {
    return part.kind == TokenKind::kDigits || part.kind == TokenKind::kValue || part.items > 1;
}

bool LogMiner::fits(const Template& each, std::span<const LogToken> tokens, std::uint64_t tail) {
    if (each.parts.size() != tokens.size() || each.tail != tail) return false;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const Part& part = each.parts[i];
        if (part.gap != tokens[i].gap) return false;
        if (!part.joined && part.hash != tokens[i].hash) return false;
    }
    return true;
}

std::uint32_t LogMiner::add(std::string_view line, std::uint64_t key) {
    std::uint32_t slot = 0;
    if (free_.empty()) {
        slot = static_cast<std::uint32_t>(templates_.size());
        templates_.emplace_back();
    } else {
        slot = free_.back();
        free_.pop_back();
    }
    Template& made = templates_[slot];
    made = {};
    made.id = next_id_++;
    made.key = key;
    made.tail = tail_;
    made.parts.reserve(tokens_.size());
    std::size_t before = line.find_first_not_of(std::string_view(" \t\n\v\f\r\0", 7));
    if (before == std::string_view::npos) before = line.size();
    for (const LogToken& token : tokens_) {
        Part part{token.hash,    token.gap,  0,     0,    token.items,
                  token.between, token.kind, false, false};
        const std::string gap = squeezed(line.substr(before, token.begin - before));
        part.gap_bytes = static_cast<std::uint8_t>(gap.size());
        made.text += gap;
        if (token.kind != TokenKind::kVariable) {
            const auto text = line.substr(token.begin, token.end - token.begin);
            part.text_bytes = static_cast<std::uint8_t>(std::min(text.size(), kPieceBytesMax));
            made.text += text.substr(0, part.text_bytes);
        }
        if (is_tracked(part)) ++made.steady;
        before = token.end;
        made.parts.push_back(part);
    }
    std::string tail = squeezed(line.substr(before));
    if (tail.ends_with(' ')) tail.pop_back();
    made.text += tail;
    place(slot);
    return slot;
}

// Enters a template into every map but that of its neighbours.
void LogMiner::place(std::uint32_t slot) {
    Template& each = templates_[slot];
    each.live = true;
    ++live_;
    by_key_.set(each.key, slot);
    by_id_[each.id] = slot;
    index(slot);
    if (members_.size() > members_max_) rebuild_index();
}

void LogMiner::see_values(Template& found, std::string_view line) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < found.parts.size(); ++i) {
        Part& part = found.parts[i];
        at += part.gap_bytes;
        if (is_tracked(part) && !part.varied && !part.joined) {
            const LogToken& token = tokens_[i];
            const auto text = line.substr(token.begin, token.end - token.begin);
            const bool same = part.kind == TokenKind::kVariable
                                  ? part.items == token.items && part.between == token.between
                                  : text.substr(0, kPieceBytesMax) ==
                                        std::string_view(found.text).substr(at, part.text_bytes);
            if (!same) {
                part.varied = true;
                --found.steady;
            }
        }
        at += part.text_bytes;
    }
}

std::uint64_t LogMiner::key_of(const Template& each) {
    std::uint64_t key = each.tail;
    for (std::size_t i = 0; i < each.parts.size(); ++i) {
        key += term(each.parts[i].hash, each.parts[i].gap, i);
    }
    return key;
}

// That of all templates that differ from it in this token only.
std::uint64_t LogMiner::bucket_of(const Template& each, std::size_t at) {
    const Part& part = each.parts[at];
    return each.key - term(part.hash, part.gap, at) + mix(at + 1);
}

std::uint64_t LogMiner::shape_of(const Template& each) {
    std::uint64_t shape = each.tail;
    for (std::size_t i = 0; i < each.parts.size(); ++i) shape += term(0, each.parts[i].gap, i);
    return shape;
}

void LogMiner::index(std::uint32_t slot) {
    const Template& each = templates_[slot];
    std::size_t words = 0;
    bool joined = false;
    for (const Part& part : each.parts) {
        words += is_fixed(part.kind) && !part.joined ? 1U : 0U;
        joined = joined || part.joined;
    }
    if (joined) joined_[shape_of(each)].push_back(slot);
    const std::size_t end = std::min(each.parts.size(), kIndexedTokensMax);
    for (std::size_t i = 0; i < end; ++i) {
        const Part& part = each.parts[i];
        // Nothing would be left to know it by.
        if (words == (is_fixed(part.kind) && !part.joined ? 1U : 0U)) continue;
        const std::uint64_t bucket = bucket_of(each, i);
        members_.push_back({slot, each.id, buckets_.find(bucket)});
        buckets_.set(bucket, static_cast<std::uint32_t>(members_.size() - 1));
    }
}

// Those that are there, by id.
std::vector<std::uint32_t> LogMiner::members(std::uint64_t bucket, std::size_t at) const {
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = buckets_.find(bucket); i != kNone; i = members_[i].next) {
        const Template& each = templates_[members_[i].slot];
        // Gone, or another by now.
        if (!each.live || each.id != members_[i].id || bucket_of(each, at) != bucket) continue;
        if (std::ranges::find(out, members_[i].slot) == out.end()) out.push_back(members_[i].slot);
    }
    std::ranges::sort(out, {}, [this](std::uint32_t slot) { return templates_[slot].id; });
    return out;
}

// The slot that the template is in afterwards; kNone when nothing was to be done.
std::uint32_t LogMiner::join_where_due(std::uint32_t slot) {
    const std::size_t end = std::min(templates_[slot].parts.size(), kIndexedTokensMax);
    for (std::size_t i = 0; i < end; ++i) {
        const auto slots = members(bucket_of(templates_[slot], i), i);
        if (slots.size() > 1 && is_due(slots, i)) return join(slots, i);
    }
    return kNone;
}

bool LogMiner::is_due(std::span<const std::uint32_t> slots, std::size_t at) const {
    const Template& first = templates_[slots.front()];
    std::size_t words = 0;
    for (std::size_t i = 0; i < first.parts.size(); ++i) {
        const Part& part = first.parts[i];
        if (i != at && is_fixed(part.kind) && !part.joined) ++words;
    }
    std::size_t variables = 0;
    bool own = false;
    for (const std::uint32_t slot : slots) {
        const Template& each = templates_[slot];
        const Part& part = each.parts[at];
        if (part.joined) return true;
        const std::string_view text = text_of(each, at);
        if (!is_fixed(part.kind) || (part.kind == TokenKind::kDigits && digits_in(text) > 1)) {
            ++variables;
        } else {
            own = own || is_own_word(text);
        }
    }
    std::size_t needed = at == 0 ? kValuesNeededFirst : kValuesNeeded;
    if (words == 1) needed *= 2;
    if (own) needed = std::max(needed, kValuesNeededOwn);
    return slots.size() + variables >= needed;
}

void LogMiner::take_in(Template& into, const Template& other) {
    into.lines += other.lines;
    into.last = std::max(into.last, other.last);
    for (std::size_t i = 0; i < into.parts.size(); ++i) {
        Part& part = into.parts[i];
        const Part& with = other.parts[i];
        part.joined = part.joined || with.joined;
        part.varied = part.varied || with.varied || part.kind != with.kind ||
                      part.items != with.items ||
                      (is_tracked(part) && text_of(into, i) != text_of(other, i));
    }
}

void LogMiner::count_steady(Template& each) {
    each.steady = 0;
    for (const Part& part : each.parts) {
        each.steady += is_tracked(part) && !part.varied && !part.joined ? 1U : 0U;
    }
}

// Into the oldest of them, whose slot it returns.
std::uint32_t LogMiner::join(std::span<const std::uint32_t> slots, std::size_t at) {
    const std::uint32_t root = slots.front();
    remove(root);
    Template joined = std::move(templates_[root]);
    for (const std::uint32_t slot : slots.subspan(1)) {
        take_in(joined, templates_[slot]);
        // One without a line is the one just made: nobody was given its id.
        if (templates_[slot].lines > 0) aliases_.push_back({templates_[slot].id, joined.id});
        remove(slot);
        templates_[slot] = {};
        free_.push_back(slot);
    }
    Part& part = joined.parts[at];
    joined.key += term(kVariableHash, part.gap, at) - term(part.hash, part.gap, at);
    part.hash = kVariableHash;
    part.joined = true;
    count_steady(joined);
    templates_[root] = std::move(joined);
    place(root);
    variants_.clear();
    return root;
}

void LogMiner::remove(std::uint32_t slot) {
    Template& each = templates_[slot];
    each.live = false;
    --live_;
    if (by_key_.find(each.key) == slot) by_key_.erase(each.key);
    by_id_.erase(each.id);
    const auto at = joined_.find(shape_of(each));
    if (at == joined_.end()) return;
    std::erase(at->second, slot);
    if (at->second.empty()) joined_.erase(at);
}

// The share that was not seen for longest goes.
void LogMiner::make_room() {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> ages;
    for (std::uint32_t slot = 0; slot < templates_.size(); ++slot) {
        if (templates_[slot].live) ages.emplace_back(templates_[slot].last, slot);
    }
    std::ranges::sort(ages);
    ages.resize(std::max<std::size_t>(1, ages.size() / kRoomShare));
    for (const auto& [last, slot] : ages) {
        gone_.push_back({templates_[slot].id, render(templates_[slot])});
        remove(slot);
        templates_[slot] = {};
        free_.push_back(slot);
    }
    rebuild_index();
}

void LogMiner::rebuild_index() {
    variants_.clear();
    buckets_.clear();
    members_.clear();
    joined_.clear();
    for (std::uint32_t slot = 0; slot < templates_.size(); ++slot) {
        if (templates_[slot].live) index(slot);
    }
    members_max_ = 2 * members_.size() + kMembersSlack;
}

std::uint64_t LogMiner::lines(TemplateId id) const {
    const auto at = by_id_.find(id);
    return at == by_id_.end() ? 0 : templates_[at->second].lines;
}

std::string LogMiner::text(TemplateId id) const {
    const auto at = by_id_.find(id);
    return at == by_id_.end() ? std::string() : render(templates_[at->second]);
}

std::string LogMiner::render(const Template& each) {
    std::string out;
    std::size_t at = 0;
    bool after_variable = false;
    for (const Part& part : each.parts) {
        const std::string_view gap = std::string_view(each.text).substr(at, part.gap_bytes);
        at += part.gap_bytes;
        const std::string_view text = std::string_view(each.text).substr(at, part.text_bytes);
        at += part.text_bytes;
        bool variable = part.kind == TokenKind::kVariable || part.joined || part.varied;
        if (!variable && part.kind == TokenKind::kValue) {
            variable = each.lines < 2 || text.find_first_of("./:") != std::string_view::npos;
        }
        if (!variable && part.kind == TokenKind::kDigits) {
            variable = each.lines < 2 && digits_in(text) > 1;
        }
        const bool joins = after_variable && variable &&
                           (gap.empty() || gap == "." || gap == ":" || gap == "/" || gap == "@" ||
                            gap == "-" || gap == "+" || (gap == " " && part.hash == kUnitHash));
        if (!joins) {
            out += gap;
            out += variable ? kAny : text;
            if (variable && !part.varied && !part.joined) {
                for (int item = 1; item < part.items; ++item) {
                    out += part.between == 1 ? " " : ", ";
                    out += kAny;
                }
            }
        }
        after_variable = variable;
    }
    out += std::string_view(each.text).substr(at);
    return out;
}

}  // namespace vigie::detectors
