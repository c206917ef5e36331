#include "ingest/syslog.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "core/utf8.h"

namespace vigie::ingest {

namespace {

constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kParametersMax = 64;
// Severities 0 to 7 of syslog, as OpenTelemetry maps them.
constexpr std::array<std::uint8_t, 8> kSeverities{21, 19, 18, 17, 13, 10, 9, 5};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::string text_of(std::string_view bytes) {
    if (is_utf8(bytes)) return std::string(bytes);
    std::string out;
    for (std::size_t i = 0; i < bytes.size();) {
        const auto size = utf8_character_size(bytes, i);
        out += size == 0 ? std::string_view("\xef\xbf\xbd") : bytes.substr(i, size);
        i += std::max<std::size_t>(size, 1);
    }
    return out;
}

// Up to the next blank, which is taken too.
std::string_view take_word(std::string_view& text) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return word;
}

std::optional<int> take_priority(std::string_view& text) {
    if (!text.starts_with('<')) return std::nullopt;
    const auto end = text.find('>');
    int number = -1;
    if (end == std::string_view::npos || end < 2 || end > 4) return std::nullopt;
    const auto parsed = std::from_chars(text.data() + 1, text.data() + end, number);
    if (parsed.ptr != text.data() + end || number < 0 || number > 191) return std::nullopt;
    text.remove_prefix(end + 1);
    return number;
}

void put(schemas::Labels& labels, std::string name, std::string_view value) {
    if (value.empty() || value == "-") return;
    labels.emplace_back(std::move(name), text_of(value.substr(0, kNameBytesMax)));
}

// [id name="value" …]…, takes it; false when it is not well-formed, and then nothing is taken.
bool take_structured_data(std::string_view& text, schemas::Labels& attributes) {
    if (text.starts_with('-')) {
        text.remove_prefix(std::min<std::size_t>(2, text.size()));
        return true;
    }
    std::string_view rest = text;
    std::size_t count = 0;
    while (rest.starts_with('[')) {
        rest.remove_prefix(1);
        const auto id = rest.substr(0, rest.find_first_of(" ]"));
        if (id.empty() || id.size() == rest.size()) return false;
        rest.remove_prefix(id.size());
        while (rest.starts_with(' ')) {
            rest.remove_prefix(1);
            const auto equals = rest.find("=\"");
            if (equals == std::string_view::npos || equals == 0) return false;
            const auto name = rest.substr(0, equals);
            rest.remove_prefix(equals + 2);
            std::string value;
            std::size_t i = 0;
            for (; i < rest.size() && rest[i] != '"'; ++i) {
                const bool escaped =
                    rest[i] == '\\' && i + 1 < rest.size() &&
                    (rest[i + 1] == '"' || rest[i + 1] == '\\' || rest[i + 1] == ']');
                if (escaped) ++i;
                value += rest[i];
            }
            if (i >= rest.size()) return false;
            rest.remove_prefix(i + 1);
            if (++count <= kParametersMax) {
                put(attributes, fmt::format("{}.{}", text_of(id), text_of(name)), value);
            }
        }
        if (!rest.starts_with(']')) return false;
        rest.remove_prefix(1);
    }
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    text = rest;
    return true;
}

// VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA [SP MSG]
bool read_5424(std::string_view text, SyslogLine& line) {
    if (take_word(text) != "1") return false;
    const auto time = take_word(text);
    if (time != "-") {
        const auto at = parse_rfc3339(time);
        if (!at) return false;
        line.record.at = *at;
    }
    put(line.resource, "host.name", take_word(text));
    put(line.resource, "service.name", take_word(text));
    put(line.record.attributes, "process.pid", take_word(text));
    put(line.record.attributes, "syslog.msgid", take_word(text));
    if (!take_structured_data(text, line.record.attributes)) return false;
    constexpr std::string_view kMark = "\xef\xbb\xbf";
    if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
    line.record.body = text_of(text);
    return true;
}

// "Nov 21 05:30:00": of the year in which it is nearest to now, in UTC.
std::optional<EventTime> take_3164_time(std::string_view& text, EventTime now) {
    constexpr std::size_t kSize = 15;
    if (text.size() < kSize) return std::nullopt;
    const auto stamp = text.substr(0, kSize);
    const auto* const month = std::ranges::find(kMonths, stamp.substr(0, 3));
    if (month == kMonths.end() || stamp[3] != ' ' || stamp[6] != ' ') return std::nullopt;
    std::string day(stamp.substr(4, 2));
    if (day[0] == ' ') day[0] = '0';
    const std::string year_text = to_rfc3339(now).substr(0, 4);
    int year = 0;
    std::from_chars(year_text.data(), year_text.data() + 4, year);
    std::optional<EventTime> best;
    for (const int candidate : {year - 1, year, year + 1}) {
        const auto at = parse_rfc3339(fmt::format(
            "{:04}-{:02}-{}T{}Z", candidate, month - kMonths.begin() + 1, day, stamp.substr(7)));
        if (!at) continue;
        const auto distance = [now](EventTime time) {
            return time > now ? time - now : now - time;
        };
        if (!best || distance(*at) < distance(*best)) best = *at;
    }
    if (best) text.remove_prefix(std::min(kSize + 1, text.size()));
    return best;
}

// "tag[pid]: text" or "tag: text".
void read_tag(std::string_view& text, SyslogLine& line) {
    constexpr std::size_t kTagMax = 48;
    const auto end = text.find(": ");
    const auto colon = end == std::string_view::npos && text.ends_with(':') ? text.size() - 1 : end;
    if (colon == std::string_view::npos || colon > kTagMax) return;
    auto tag = text.substr(0, colon);
    if (tag.empty() || tag.find(' ') != std::string_view::npos) return;
    const auto bracket = tag.find('[');
    if (bracket != std::string_view::npos && tag.ends_with(']')) {
        put(line.record.attributes, "process.pid",
            tag.substr(bracket + 1, tag.size() - bracket - 2));
        tag = tag.substr(0, bracket);
    }
    put(line.resource, "service.name", tag);
    text.remove_prefix(std::min(colon + 2, text.size()));
}

void read_3164(std::string_view text, EventTime now, SyslogLine& line) {
    bool has_time = false;
    if (const auto at = take_3164_time(text, now)) {
        line.record.at = *at;
        has_time = true;
    } else {
        // rsyslog and others write RFC 3339 here too.
        auto rest = text;
        if (const auto time = parse_rfc3339(take_word(rest))) {
            line.record.at = *time;
            text = rest;
            has_time = true;
        }
    }
    if (has_time) {
        // `logger` leaves the host out: then a tag stands here.
        auto rest = text;
        const auto host = take_word(rest);
        if (!host.empty() && !host.ends_with(':')) {
            put(line.resource, "host.name", host);
            text = rest;
        }
    }
    read_tag(text, line);
    line.record.body = text_of(text);
}

}  // namespace

SyslogLine parse_syslog(std::string_view message, EventTime now, std::string_view peer) {
    SyslogLine line;
    while (!message.empty() &&
           (message.back() == '\n' || message.back() == '\r' || message.back() == '\0')) {
        message.remove_suffix(1);
    }
    std::string_view rest = message;
    const auto priority = take_priority(rest);
    line.understood = priority.has_value();
    if (priority) {
        line.record.severity = kSeverities[static_cast<std::size_t>(*priority % 8)];
        line.record.attributes.emplace_back("syslog.facility", std::to_string(*priority / 8));
        const auto facility = line.record.attributes;
        if (!read_5424(rest, line)) {
            line.resource.clear();
            line.record.attributes = facility;
            line.record.at = {};
            read_3164(rest, now, line);
        }
    } else {
        line.record.body = text_of(message);
    }
    const auto is_host = [](const auto& label) { return label.first == "host.name"; };
    if (std::ranges::none_of(line.resource, is_host)) put(line.resource, "host.name", peer);
    if (line.record.at <= EventTime{}) line.record.at = now;
    const auto settle = [](schemas::Labels& labels) {
        std::ranges::stable_sort(labels, {}, [](const auto& label) { return label.first; });
        const auto twice =
            std::ranges::unique(labels, {}, [](const auto& label) { return label.first; });
        labels.erase(twice.begin(), twice.end());
    };
    settle(line.resource);
    settle(line.record.attributes);
    return line;
}

}  // namespace vigie::ingest
