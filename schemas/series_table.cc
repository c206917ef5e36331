#include "schemas/series_table.h"

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include <xxhash.h>

#include "schemas/hash_index.h"

namespace vigie::schemas {

namespace {

using Word = std::uint32_t;

constexpr std::string_view kOverflowMetric = "vigie_overflow";
constexpr std::size_t kOverflowMetricBytesMax = 256;
// Ways of writing one series down that are remembered, for each series: more are recognised by
// their labels, which is slower.
constexpr std::size_t kAliasesMax = 4;
constexpr Word kNone = std::numeric_limits<Word>::max();

// Each distinct text once, by number.
class Texts {
public:
    Word intern(std::string_view text) {
        const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
        const Word found = index_.find(hash, [&](Word number) { return views_[number] == text; });
        if (found != kNone) return found;
        const auto number = static_cast<Word>(views_.size());
        views_.push_back(keep(text));
        index_.insert(hash, number);
        bytes_ += text.size();
        return number;
    }
    Word find(std::string_view text) const {
        return index_.find(XXH3_64bits(text.data(), text.size()),
                           [&](Word number) { return views_[number] == text; });
    }
    std::string_view at(Word number) const { return views_[number]; }
    std::size_t bytes() const { return bytes_; }
    std::size_t count() const { return views_.size(); }
    std::size_t memory_bytes() const {
        return chunks_.size() * kChunkBytes + views_.capacity() * sizeof(std::string_view) +
               index_.memory_bytes();
    }

private:
    static constexpr std::size_t kChunkBytes = 64 * 1024;

    std::string_view keep(std::string_view text) {
        if (text.empty()) return {};
        if (text.size() > left_) {
            const std::size_t size = std::max(text.size(), kChunkBytes);
            chunks_.push_back(std::make_unique<char[]>(size));
            next_ = chunks_.back().get();
            left_ = size;
        }
        char* const place = next_;
        std::copy(text.begin(), text.end(), place);
        next_ += text.size();
        left_ -= text.size();
        return {place, text.size()};
    }

    std::vector<std::unique_ptr<char[]>> chunks_;
    char* next_ = nullptr;
    std::size_t left_ = 0;
    std::vector<std::string_view> views_;
    detail::HashIndex index_;
    std::size_t bytes_ = 0;
};

}  // namespace

// A series is a row of words in `words`: metric, number of labels, then name and value of each, in
// order of the names' text.
struct SeriesTable::Store {
    using Known = SeriesIndex::Known;
    explicit Store(Options options_in) : options(options_in) {}

    std::span<const Word> row(SeriesHandle series) const {
        const std::size_t at = rows[series];
        return {words.data() + at, 2 + 2 * std::size_t{words[at + 1]}};
    }
    static std::uint64_t hash_of(std::span<const Word> row) {
        return XXH3_64bits(row.data(), row.size_bytes());
    }
    std::vector<Word> make_row(std::string_view metric, const Labels& labels) {
        std::vector<Word> out{texts.intern(metric), static_cast<Word>(labels.size())};
        for (const auto& [name, value] : labels) {
            out.push_back(texts.intern(name));
            out.push_back(texts.intern(value));
        }
        return out;
    }
    SeriesHandle find_row(std::span<const Word> wanted) const {
        return by_row.find(hash_of(wanted),
                           [&](Word series) { return std::ranges::equal(row(series), wanted); });
    }
    SeriesHandle put_row(std::span<const Word> wanted) {
        SeriesHandle series = static_cast<SeriesHandle>(rows.size());
        if (free.empty()) {
            rows.push_back(words.size());
        } else {
            series = free.back();
            free.pop_back();
            rows[series] = words.size();
        }
        words.insert(words.end(), wanted.begin(), wanted.end());
        by_row.insert(hash_of(wanted), series);
        return series;
    }
    bool full(std::string_view metric, const Labels& labels) const {
        std::size_t bytes = texts.bytes() + metric.size();
        for (const auto& [name, value] : labels) bytes += name.size() + value.size();
        return size - overflow.size() >= options.series_max || bytes > options.text_bytes_max;
    }
    SeriesHandle find_or_put(std::string_view metric, const Labels& labels) {
        const auto wanted = make_row(metric, labels);
        const SeriesHandle found = find_row(wanted);
        if (found != kNone) return found;
        ++size;
        return put_row(wanted);
    }
    SeriesHandle overflow_of(std::string_view metric) {
        ++overflowed;
        const Labels labels{{std::string(kOverflowLabel), "true"}};
        const bool room = overflow.size() < options.overflow_series_max &&
                          metric.size() <= kOverflowMetricBytesMax;
        const bool own = room || exists(metric, labels);
        const SeriesHandle series = find_or_put(own ? metric : kOverflowMetric, labels);
        overflow.insert(series);
        return series;
    }
    bool exists(std::string_view metric, const Labels& labels) const {
        std::vector<Word> wanted{texts.find(metric), static_cast<Word>(labels.size())};
        for (const auto& [name, value] : labels) {
            wanted.push_back(texts.find(name));
            wanted.push_back(texts.find(value));
        }
        if (std::ranges::find(wanted, kNone) != wanted.end()) return false;
        return find_row(wanted) != kNone;
    }
    void compact();

    // Senders repeat themselves: what comes next is most often what was new next. That saves the
    // miss in a table of tens of megabytes.
    std::optional<Known> guess(std::uint64_t wire_hash) {
        if (next >= wires.size()) return std::nullopt;
        const std::uint64_t wire = wires[next];
        if (wire >> kKindBits != wire_hash << kKindBits >> kKindBits ||
            (wire & kKindMask) == kNoKind) {
            return std::nullopt;
        }
        return Known{next++, static_cast<MetricKind>(wire & kKindMask)};
    }
    void note_wire(std::uint64_t wire_hash, SeriesHandle series, MetricKind kind) {
        if (series >= wires.size()) wires.resize(series + std::size_t{1}, kNoKind);
        wires[series] = wire_hash << kKindBits | static_cast<std::uint64_t>(kind);
        next = series + 1;
    }

    static constexpr unsigned kKindBits = 3;
    static constexpr std::uint64_t kKindMask = (1U << kKindBits) - 1;
    static constexpr std::uint64_t kNoKind = kKindMask;

    const Options options;
    Texts texts;
    std::vector<Word> words;
    std::vector<std::size_t> rows;  // By number; kFree when it is free
    std::vector<SeriesHandle> free;
    detail::HashIndex by_row;
    detail::HashIndex by_wire;  // The number, with the kind above it
    // By number: the hash it was last added under without its highest bits, and the kind.
    std::vector<std::uint64_t> wires;
    SeriesHandle next = 0;  // The number that is guessed
    std::unordered_set<SeriesHandle> overflow;
    std::size_t size = 0;
    std::size_t words_lost = 0;
    std::uint64_t overflowed = 0;

    static constexpr std::size_t kFree = std::numeric_limits<std::size_t>::max();
};

// Rows, texts and hashes of what is left, without the holes.
void SeriesTable::Store::compact() {
    const Texts old_texts = std::exchange(texts, Texts{});
    const std::vector<Word> old_words = std::exchange(words, {});
    by_row = {};
    for (SeriesHandle series = 0; series < rows.size(); ++series) {
        if (rows[series] == kFree) continue;
        const std::size_t from = rows[series];
        const std::size_t length = 2 + 2 * std::size_t{old_words[from + 1]};
        rows[series] = words.size();
        for (std::size_t i = 0; i < length; ++i) {
            const Word word = old_words[from + i];
            words.push_back(i == 1 ? word : texts.intern(old_texts.at(word)));
        }
        by_row.insert(hash_of(row(series)), series);
    }
    words_lost = 0;
}

SeriesTable::SeriesTable(Options options) : store_(std::make_unique<Store>(options)) {}
SeriesTable::~SeriesTable() = default;

std::optional<SeriesIndex::Known> SeriesTable::find(std::uint64_t wire_hash) const {
    if (const auto guessed = store_->guess(wire_hash)) return guessed;
    const auto found = store_->by_wire.find(wire_hash);
    if (found.number == kNone) return std::nullopt;
    store_->next = found.number + 1;
    return Known{found.number, static_cast<MetricKind>(found.tag)};
}

SeriesHandle SeriesTable::add(std::uint64_t wire_hash, MetricKind kind, std::string_view metric,
                              const Labels& labels) {
    Store& store = *store_;
    const bool refused = store.full(metric, labels) && !store.exists(metric, labels);
    const SeriesHandle series =
        refused ? store.overflow_of(metric) : store.find_or_put(metric, labels);
    // What overflows is looked at again each time: there may be room by then.
    if (refused) return series;
    if (store.by_wire.size() >= kAliasesMax * std::max<std::size_t>(store.size, 1024)) {
        store.by_wire = {};
    }
    store.by_wire.insert(wire_hash, series, static_cast<std::uint8_t>(kind));
    store.note_wire(wire_hash, series, kind);
    return series;
}

std::string_view SeriesTable::metric(SeriesHandle series) const {
    return store_->texts.at(store_->row(series)[0]);
}

Labels SeriesTable::labels(SeriesHandle series) const {
    const auto row = store_->row(series);
    Labels out;
    out.reserve(row[1]);
    for (std::size_t i = 2; i < row.size(); i += 2) {
        out.emplace_back(store_->texts.at(row[i]), store_->texts.at(row[i + 1]));
    }
    return out;
}

std::string_view SeriesTable::label(SeriesHandle series, std::string_view name) const {
    const auto row = store_->row(series);
    for (std::size_t i = 2; i < row.size(); i += 2) {
        if (store_->texts.at(row[i]) == name) return store_->texts.at(row[i + 1]);
    }
    return {};
}

bool SeriesTable::is_overflow(SeriesHandle series) const {
    return store_->overflow.contains(series);
}

bool SeriesTable::contains(SeriesHandle series) const {
    return series < store_->rows.size() && store_->rows[series] != Store::kFree;
}

void SeriesTable::forget(std::span<const SeriesHandle> series) {
    Store& store = *store_;
    for (const SeriesHandle gone : series) {
        if (!contains(gone)) continue;
        const auto row = store.row(gone);
        store.by_row.erase(Store::hash_of(row), gone);
        store.words_lost += row.size();
        store.rows[gone] = Store::kFree;
        if (gone < store.wires.size()) store.wires[gone] = Store::kNoKind;
        store.free.push_back(gone);
        store.overflow.erase(gone);
        --store.size;
    }
    store.by_wire.keep_if([&](Word number) { return store.rows[number] != Store::kFree; });
    if (store.words_lost > store.words.size() / 2) store.compact();
}

std::size_t SeriesTable::size() const {
    return store_->size;
}

SeriesHandle SeriesTable::end() const {
    return static_cast<SeriesHandle>(store_->rows.size());
}

std::uint64_t SeriesTable::overflowed() const {
    return store_->overflowed;
}

std::size_t SeriesTable::memory_bytes() const {
    const Store& store = *store_;
    return store.texts.memory_bytes() + store.words.capacity() * sizeof(Word) +
           store.rows.capacity() * sizeof(std::size_t) +
           store.wires.capacity() * sizeof(std::uint64_t) + store.by_row.memory_bytes() +
           store.by_wire.memory_bytes();
}

std::string SeriesTable::widest_label() const {
    const Store& store = *store_;
    // Names and values that occur together; a pair is one word of 64 bits.
    std::vector<std::uint64_t> pairs;
    for (SeriesHandle series = 0; series < store.rows.size(); ++series) {
        if (store.rows[series] == Store::kFree) continue;
        const auto row = store.row(series);
        for (std::size_t i = 2; i < row.size(); i += 2) {
            pairs.push_back(std::uint64_t{row[i]} << 32U | row[i + 1]);
        }
    }
    std::ranges::sort(pairs);
    const auto repeated = std::ranges::unique(pairs);
    pairs.erase(repeated.begin(), repeated.end());
    std::size_t widest = 0;
    std::string name;
    for (std::size_t i = 0; i < pairs.size();) {
        std::size_t next = i;
        while (next < pairs.size() && pairs[next] >> 32U == pairs[i] >> 32U) ++next;
        if (next - i > widest) {
            widest = next - i;
            name = store.texts.at(static_cast<Word>(pairs[i] >> 32U));
        }
        i = next;
    }
    return name;
}

}  // namespace vigie::schemas
