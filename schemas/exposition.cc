#include "schemas/exposition.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "core/utf8.h"
#include "schemas/text.h"

namespace vigie::schemas {

namespace {

constexpr std::size_t kShownBytes = 60;

std::unexpected<Error> wrong(std::string why) {
    return fail(ErrorKind::kInvalid, std::move(why));
}

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_name_part(char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
}

// One line from left to right.
class Cursor {
public:
    explicit Cursor(std::string_view line) : rest_(line) {}

    bool at_end() const { return rest_.empty(); }
    char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
    bool take(char c) {
        if (peek() != c || rest_.empty()) return false;
        rest_.remove_prefix(1);
        return true;
    }
    // Whether there was any.
    bool skip_blanks() {
        const std::size_t before = rest_.size();
        while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
        return rest_.size() != before;
    }
    // A metric's name may have colons.
    std::string_view name(bool colons) {
        std::size_t size = 0;
        while (size < rest_.size() && (is_name_part(rest_[size]) || (colons && rest_[size] == ':')))
            ++size;
        if (size > 0 && rest_.front() >= '0' && rest_.front() <= '9') size = 0;
        return cut(size);
    }
    std::string_view word() { return cut(std::min(rest_.find_first_of(" \t"), rest_.size())); }
    std::string shown() const { return one_line(rest_, kShownBytes); }

    // What stands between quotes, whose first is already taken.
    Result<std::string> quoted(std::size_t bytes_max) {
        std::string out;
        while (!rest_.empty()) {
            char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"') {
                if (!is_utf8(out)) return wrong("text that is not UTF-8");
                return out;
            }
            if (c == '\\') {
                if (rest_.empty()) break;
                c = rest_.front();
                rest_.remove_prefix(1);
                if (c == 'n') c = '\n';
                // Any other escape is the two characters.
                else if (c != '\\' && c != '"')
                    out += '\\';
            }
            if (out.size() >= bytes_max) {
                return fail(ErrorKind::kRefused,
                            fmt::format("text of more than {} bytes", bytes_max));
            }
            out += c;
        }
        return wrong("a text has no closing quote");
    }

private:
    std::string_view cut(std::size_t size) {
        const auto out = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return out;
    }

    std::string_view rest_;
};

std::optional<double> number_of(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    if (text.starts_with('+')) return std::nullopt;
    const bool minus = text.starts_with('-');
    const std::string word = detail::lower(minus ? text.substr(1) : text);
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (word == "inf" || word == "infinity") return minus ? -kInfinity : kInfinity;
    if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ptr != end || text.empty()) return std::nullopt;
    // Too large for a double; too small is zero.
    if (parsed.ec == std::errc::result_out_of_range) {
        const bool tiny = word.find("e-") != std::string::npos;
        return tiny ? 0.0 : (minus ? -kInfinity : kInfinity);
    }
    if (parsed.ec != std::errc{}) return std::nullopt;
    return value;
}

// Whole milliseconds in the text format, seconds with decimals in OpenMetrics.
std::optional<EventTime> time_of(std::string_view text, Exposition format) {
    constexpr std::int64_t kMillisMax = std::numeric_limits<std::int64_t>::max() / 1000;
    if (format == Exposition::kText) {
        std::int64_t millis = 0;
        const char* const end = text.data() + text.size();
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), millis);
        if (parsed.ptr != end || parsed.ec != std::errc{}) return std::nullopt;
        if (millis > kMillisMax || millis < -kMillisMax) return std::nullopt;
        return event_time_from_micros(millis * 1000);
    }
    const auto seconds = number_of(text);
    constexpr double kSecondsMax = 9.2e12;
    if (!seconds || !(std::abs(*seconds) < kSecondsMax)) return std::nullopt;
    return event_time_from_micros(std::llround(*seconds * 1e6));
}

std::optional<ExposedType> type_of(std::string_view word, Exposition format) {
    constexpr std::array<std::string_view, 8> kWords{"unknown",   "counter",        "gauge",
                                                     "histogram", "gaugehistogram", "summary",
                                                     "info",      "stateset"};
    if (format == Exposition::kText && word == "untyped") return ExposedType::kUnknown;
    const auto* const found = std::ranges::find(kWords, word);
    if (found == kWords.end()) return std::nullopt;
    return static_cast<ExposedType>(found - kWords.begin());
}

// What stands between braces: labels, and in first place perhaps the quoted name of the metric.
class LabelReader {
public:
    LabelReader(Cursor& cursor, const ExpositionLimits& limits)
        : cursor_(cursor), limits_(limits) {}

    // Behind the opening brace. `metric` may be nullptr, in exemplars.
    Status read(Labels& labels, std::string* metric) {
        bool first = true;
        cursor_.skip_blanks();
        while (!cursor_.take('}')) {
            if (!first && !take_comma())
                return wrong("expected ',' or '}' between labels, found '" + cursor_.shown() + "'");
            if (!first && cursor_.take('}')) break;
            VIGIE_TRY(read_one(labels, first ? metric : nullptr));
            first = false;
            cursor_.skip_blanks();
        }
        std::ranges::sort(labels);
        const auto same = std::ranges::adjacent_find(
            labels, {}, [](const auto& pair) { return std::string_view(pair.first); });
        if (same != labels.end()) return wrong("the label '" + same->first + "' is there twice");
        std::erase_if(labels, [](const auto& pair) { return pair.second.empty(); });
        return {};
    }

private:
    bool take_comma() {
        if (!cursor_.take(',')) return false;
        cursor_.skip_blanks();
        return true;
    }

    Status read_one(Labels& labels, std::string* metric) {
        std::string name;
        const bool quoted = cursor_.take('"');
        if (quoted) {
            VIGIE_TRY_ASSIGN(name, cursor_.quoted(limits_.label_name_bytes_max));
        } else {
            name = cursor_.name(false);
        }
        if (name.empty())
            return wrong("expected the name of a label, found '" + cursor_.shown() + "'");
        cursor_.skip_blanks();
        if (quoted && metric != nullptr && metric->empty() && cursor_.peek() != '=') {
            *metric = std::move(name);
            return {};
        }
        if (name.size() > limits_.label_name_bytes_max) {
            return fail(ErrorKind::kRefused,
                        fmt::format("the name of a label has more than {} bytes",
                                    limits_.label_name_bytes_max));
        }
        if (!cursor_.take('='))
            return wrong("expected '=' after label '" + one_line(name, kShownBytes) + "'");
        cursor_.skip_blanks();
        if (!cursor_.take('"'))
            return wrong("the value of label '" + one_line(name, kShownBytes) + "' is not quoted");
        VIGIE_TRY_ASSIGN(std::string value, cursor_.quoted(limits_.label_value_bytes_max));
        if (labels.size() >= limits_.labels_max) {
            return fail(ErrorKind::kRefused,
                        fmt::format("more than {} labels", limits_.labels_max));
        }
        labels.emplace_back(std::move(name), std::move(value));
        return {};
    }

    Cursor& cursor_;
    const ExpositionLimits& limits_;
};

// " # {…} 1 1.5" at the end of a line of OpenMetrics.
Status read_exemplar(Cursor& cursor, const ExpositionLimits& limits) {
    cursor.skip_blanks();
    if (!cursor.take('{')) return wrong("an exemplar without labels");
    Labels labels;
    VIGIE_TRY(LabelReader(cursor, limits).read(labels, nullptr));
    cursor.skip_blanks();
    if (!number_of(cursor.word())) return wrong("an exemplar without a value");
    cursor.skip_blanks();
    if (cursor.at_end()) return {};
    if (!time_of(cursor.word(), Exposition::kOpenMetrics))
        return wrong("the time of an exemplar is no number");
    cursor.skip_blanks();
    if (!cursor.at_end()) return wrong("more after the exemplar: '" + cursor.shown() + "'");
    return {};
}

}  // namespace

Exposition exposition_of(std::string_view content_type) {
    const std::string type = detail::lower(content_type.substr(0, content_type.find(';')));
    return type.find("application/openmetrics-text") == std::string::npos
               ? Exposition::kText
               : Exposition::kOpenMetrics;
}

Status ExpositionParser::feed(std::string_view bytes) {
    while (status_ && !bytes.empty()) {
        const auto end = bytes.find('\n');
        const auto part = bytes.substr(0, end);
        if (rest_.size() + part.size() > limits_.line_bytes_max) {
            ++lines_;
            status_ = fail(ErrorKind::kRefused, fmt::format("line {}: longer than {} bytes", lines_,
                                                            limits_.line_bytes_max));
            break;
        }
        if (end == std::string_view::npos) {
            rest_ += part;
            break;
        }
        bytes.remove_prefix(end + 1);
        ++lines_;
        if (rest_.empty()) {
            status_ = take_line(part);
        } else {
            rest_ += part;
            status_ = take_line(rest_);
            rest_.clear();
        }
    }
    return status_;
}

Status ExpositionParser::finish() {
    if (!status_) return status_;
    if (!rest_.empty()) {
        ++lines_;
        status_ = take_line(std::exchange(rest_, {}));
    }
    if (status_ && format_ == Exposition::kOpenMetrics && !ended_) {
        status_ = fail(ErrorKind::kInvalid,
                       fmt::format("line {}: the text does not end with '# EOF'", lines_));
    }
    return status_;
}

Status ExpositionParser::take_line(std::string_view line) {
    Status status;
    if (lines_ > 2 * limits_.samples_max + 1) {
        status = fail(ErrorKind::kRefused,
                      fmt::format("more than {} lines", 2 * limits_.samples_max + 1));
    } else {
        status = read_line(line);
    }
    if (!status)
        status.error().message = fmt::format("line {}: {}", lines_, status.error().message);
    return status;
}

Status ExpositionParser::read_line(std::string_view line) {
    if (line.ends_with('\r') && format_ == Exposition::kText) line.remove_suffix(1);
    if (ended_) return wrong("there is text after '# EOF'");
    std::string_view text = line;
    if (format_ == Exposition::kText) {
        while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
        if (text.empty()) return {};
    }
    if (text.empty()) return wrong("OpenMetrics has no empty lines");
    return text.front() == '#' ? read_comment(text) : read_sample(text);
}

Status ExpositionParser::read_comment(std::string_view line) {
    Cursor cursor(line.substr(1));
    const bool blank = cursor.skip_blanks();
    const auto word = cursor.word();
    if (format_ == Exposition::kOpenMetrics) {
        if (line == "# EOF") {
            ended_ = true;
            return {};
        }
        const bool known = word == "TYPE" || word == "HELP" || word == "UNIT";
        if (!blank || !known) return wrong("expected '# TYPE', '# HELP', '# UNIT' or '# EOF'");
    }
    // What is not a TYPE says nothing of values.
    if (word != "TYPE") return {};
    cursor.skip_blanks();
    std::string family;
    if (cursor.take('"')) {
        VIGIE_TRY_ASSIGN(family, cursor.quoted(limits_.label_name_bytes_max));
    } else {
        family = cursor.name(true);
    }
    if (family.empty()) return wrong("TYPE without the name of a metric");
    if (family.size() > limits_.label_name_bytes_max) {
        return fail(ErrorKind::kRefused, "the name of a metric is too long");
    }
    cursor.skip_blanks();
    const auto said = cursor.word();
    const auto type = type_of(said, format_);
    if (!type)
        return wrong(fmt::format("'{}' is not a type of metrics", one_line(said, kShownBytes)));
    cursor.skip_blanks();
    if (!cursor.at_end()) return wrong("more after the type: '" + cursor.shown() + "'");
    return visitor_.on_type(family, *type);
}

Status ExpositionParser::read_sample(std::string_view line) {
    Cursor cursor(line);
    ExposedSample sample;
    sample.metric = cursor.name(true);
    cursor.skip_blanks();
    if (cursor.take('{')) {
        VIGIE_TRY(LabelReader(cursor, limits_)
                      .read(sample.labels, sample.metric.empty() ? &sample.metric : nullptr));
    }
    if (sample.metric.empty())
        return wrong("expected the name of a metric, found '" + cursor.shown() + "'");
    if (sample.metric.size() > limits_.label_name_bytes_max) {
        return fail(ErrorKind::kRefused, "the name of a metric is too long");
    }
    cursor.skip_blanks();
    const auto value = cursor.word();
    const auto number = number_of(value);
    if (!number) return wrong(fmt::format("'{}' is not a value", one_line(value, kShownBytes)));
    sample.value = *number;
    cursor.skip_blanks();
    const bool exemplars = format_ == Exposition::kOpenMetrics;
    if (!cursor.at_end() && !(exemplars && cursor.peek() == '#')) {
        const auto time = cursor.word();
        sample.at = time_of(time, format_);
        if (!sample.at)
            return wrong(fmt::format("'{}' is not a time", one_line(time, kShownBytes)));
        cursor.skip_blanks();
    }
    if (exemplars && cursor.take('#')) {
        VIGIE_TRY(read_exemplar(cursor, limits_));
        sample.has_exemplar = true;
    }
    if (!cursor.at_end()) return wrong("more after the sample: '" + cursor.shown() + "'");
    if (++samples_ > limits_.samples_max) {
        return fail(ErrorKind::kRefused, fmt::format("more than {} samples", limits_.samples_max));
    }
    return visitor_.on_sample(sample);
}

Status parse_exposition(std::string_view text, Exposition format, const ExpositionLimits& limits,
                        ExpositionVisitor& visitor) {
    ExpositionParser parser(format, limits, visitor);
    VIGIE_TRY(parser.feed(text));
    return parser.finish();
}

}  // namespace vigie::schemas
