#include "schemas/otlp_proto.h"

#include <algorithm>

#include "schemas/text.h"

namespace vigie::schemas::detail {

namespace {

constexpr auto kKey = message_tag(1);
constexpr auto kValue = message_tag(2);

constexpr auto kString = message_tag(1);
constexpr auto kBool = varint_tag(2);
constexpr auto kInt = varint_tag(3);
constexpr auto kDouble = fixed64_tag(4);
constexpr auto kList = message_tag(5);
constexpr auto kMap = message_tag(6);
constexpr auto kBytes = message_tag(7);

constexpr auto kListValues = message_tag(1);
constexpr auto kMapValues = message_tag(1);

bool is_value(std::uint32_t tag) {
    return tag == kString || tag == kBool || tag == kInt || tag == kDouble || tag == kList ||
           tag == kMap || tag == kBytes;
}

Status add_value(pbf_reader value, AttributeText& text, int depth);

Status add_map_entry(pbf_reader entry, AttributeText& text, int depth) {
    std::string_view key;
    pbf_reader value;
    while (entry.next()) {
        switch (entry.tag_and_type()) {
            case kKey: key = read_view(entry); break;
            case kValue: value = entry.get_message(); break;
            default: entry.skip();
        }
    }
    text.add_key(key);
    return add_value(value, text, depth);
}

Status add_value(pbf_reader value, AttributeText& text, int depth) {
    if (depth > kAttributeDepthMax) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("an attribute is nested deeper than {}", kAttributeDepthMax));
    }
    // The value is a oneof: the last that is there counts.
    bool found = false;
    pbf_reader last;
    while (value.next()) {
        if (is_value(value.tag_and_type())) {
            last = value;
            found = true;
        }
        value.skip();
    }
    if (!found) {
        text.add_null();
        return {};
    }
    const std::uint32_t tag = last.tag_and_type();
    if (tag == kString) {
        text.add_string(read_view(last));
    } else if (tag == kBool) {
        text.add_bool(read_bool(last));
    } else if (tag == kInt) {
        text.add_integer(last.get_int64());
    } else if (tag == kDouble) {
        text.add_double(last.get_double());
    } else if (tag == kBytes) {
        text.add_bytes(read_view(last));
    } else {
        text.open(tag == kList ? '[' : '{');
        VIGIE_TRY(for_each(last.get_message(), tag == kList ? kListValues : kMapValues,
                           [&](pbf_reader item) {
                               return tag == kList ? add_value(item, text, depth + 1)
                                                   : add_map_entry(item, text, depth + 1);
                           }));
        text.close();
    }
    return {};
}

}  // namespace

Result<std::string> read_any_text(pbf_reader value, const Budget& budget) {
    AttributeText text(budget.limits().label_bytes_max);
    VIGIE_TRY(add_value(value, text, 1));
    return text.take();
}

Result<Labels> read_attributes(pbf_reader message, std::uint32_t tag, const Budget& budget) {
    Labels labels;
    const Status read = for_each(message, tag, [&](pbf_reader attribute) -> Status {
        VIGIE_TRY(budget.check_count(labels));
        auto& [name, text] = labels.emplace_back();
        while (attribute.next()) {
            switch (attribute.tag_and_type()) {
                case kKey: name = clean_label(read_view(attribute), budget); break;
                case kValue: {
                    VIGIE_TRY_ASSIGN(text, read_any_text(attribute.get_message(), budget));
                    break;
                }
                default: attribute.skip();
            }
        }
        return {};
    });
    VIGIE_TRY(read);
    return labels;
}

Result<Labels> read_resource(pbf_reader group, const Budget& budget) {
    Labels labels;
    while (group.next()) {
        if (group.tag_and_type() == message_tag(1)) {
            VIGIE_TRY_ASSIGN(labels, read_attributes(group.get_message(), message_tag(1), budget));
        } else {
            group.skip();
        }
    }
    return budget.merge({}, std::move(labels));
}

Result<std::string> read_id(std::string_view bytes, std::size_t size) {
    if (bytes.empty()) return std::string();
    if (bytes.size() != size) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("an id has {} bytes instead of {}", bytes.size(), size));
    }
    if (std::ranges::all_of(bytes, [](char c) { return c == '\0'; })) return std::string();
    return to_hex(bytes);
}

}  // namespace vigie::schemas::detail
