#include "app/bus_config.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace vigie::app {

namespace {

using KafkaOptions = streams::kafka::KafkaBus::Options;

constexpr std::string_view kFileSuffix = "_file";
constexpr std::size_t kPropertyBytesMax = 64 * 1024;

// `sasl.password_file` is a file whose content is sasl.password. No property of librdkafka ends so.
decltype(KafkaOptions::properties) read_properties(Section& section,
                                                   std::map<std::string, std::string> given) {
    decltype(KafkaOptions::properties) properties;
    for (auto& [name, value] : given) {
        if (!name.ends_with(kFileSuffix)) {
            properties[name] = std::move(value);
            continue;
        }
        const std::string property = name.substr(0, name.size() - kFileSuffix.size());
        if (given.contains(property)) {
            section.complain("kafka", fmt::format("give {} or {}, not both", property, name));
        }
        auto text = read_file(value, kPropertyBytesMax);
        if (!text) {
            section.complain("kafka", text.error().message);
            continue;
        }
        while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
        properties[property] = *std::move(text);
    }
    return properties;
}

}  // namespace

void read_bus(Section& section, Config& config) {
    config.partitions =
        static_cast<std::int32_t>(section.integer("partitions", config.partitions, 1, 64));
    config.retention_bytes = section.bytes("retention_max", config.retention_bytes);
    config.sync = section.boolean("sync", config.sync);
    const bool on_kafka = section.has("kafka");
    auto properties = section.text_map("kafka");
    KafkaOptions options;
    options.state_folder = config.data + "/state";
    options.prefix = section.text("topic_prefix");
    options.instance = section.text("instance");
    options.standby = section.boolean("standby", options.standby);
    options.replication_factor =
        static_cast<std::int16_t>(section.integer("replication_factor", -1, -1, 9));
    for (const char* key : {"topic_prefix", "instance", "standby", "replication_factor"}) {
        if (!on_kafka && section.has(key)) section.complain(key, "is for bus.kafka only");
    }
    if (!on_kafka) return;
    options.properties = read_properties(section, std::move(properties));
    if (const auto usable = streams::kafka::KafkaBus::check(options); !usable) {
        section.complain("kafka", usable.error().message);
    }
    config.kafka = std::move(options);
}

}  // namespace vigie::app
