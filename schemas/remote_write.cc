#include <map>
#include <optional>

#include <fmt/format.h>
#include <protozero/pbf_reader.hpp>

#include "schemas/prometheus.h"
#include "schemas/remote_write.h"
#include "schemas/wire_cursor.h"

// prometheus.WriteRequest (prometheus/prompb/remote.proto, types.proto), read field by field.
namespace vigie::schemas::detail {

namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::tag_and_type;

constexpr auto kTimeseries = tag_and_type(1, pbf_wire_type::length_delimited);
constexpr auto kMetadata = tag_and_type(3, pbf_wire_type::length_delimited);
constexpr auto kSeriesLabel = tag_and_type(1, pbf_wire_type::length_delimited);
constexpr auto kSeriesSample = tag_and_type(2, pbf_wire_type::length_delimited);
constexpr auto kSeriesExemplar = tag_and_type(3, pbf_wire_type::length_delimited);
constexpr auto kSeriesHistogram = tag_and_type(4, pbf_wire_type::length_delimited);
constexpr auto kLabelName = tag_and_type(1, pbf_wire_type::length_delimited);
constexpr auto kLabelValue = tag_and_type(2, pbf_wire_type::length_delimited);
constexpr auto kMetadataType = tag_and_type(1, pbf_wire_type::varint);
constexpr auto kMetadataName = tag_and_type(2, pbf_wire_type::length_delimited);

std::string_view view_of(protozero::data_view view) {
    return {view.data(), view.size()};
}

using Families = std::map<std::string, FamilyType, std::less<>>;

// The labels of one series, read when it is new.
class Labelled final : public Namer, public PointLabels {
public:
    Labelled(pbf_reader series, const Budget& budget, const Families& families)
        : series_(series), budget_(budget), families_(families) {}

    Result<SeriesName> name() const override {
        Labels labels;
        pbf_reader fields = series_;
        while (fields.next()) {
            if (fields.tag_and_type() != kSeriesLabel) {
                fields.skip();
                continue;
            }
            VIGIE_TRY(budget_.check_count(labels));
            VIGIE_TRY(read_label(fields.get_message(), labels));
        }
        VIGIE_TRY_ASSIGN(SeriesName name,
                         name_series(std::move(labels), FamilyType::kUnknown, budget_));
        if (const auto found = families_.find(name.metric); found != families_.end()) {
            name.kind = kind_of_metric(name.metric, found->second);
        }
        return name;
    }
    Result<Labels> labels() const override {
        VIGIE_TRY_ASSIGN(SeriesName all, name());
        return std::move(all.labels);
    }

private:
    Status read_label(pbf_reader fields, Labels& labels) const {
        std::string name;
        std::string value;
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case kLabelName: name = clean_label(view_of(fields.get_view()), budget_); break;
                case kLabelValue: value = clean_label(view_of(fields.get_view()), budget_); break;
                default: fields.skip();
            }
        }
        if (name.empty()) return fail(ErrorKind::kInvalid, "a label without a name");
        labels.emplace_back(std::move(name), std::move(value));
        return {};
    }

    const pbf_reader series_;
    const Budget& budget_;
    const Families& families_;
};

class Decoder {
public:
    Decoder(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
            DecodedSamples& out)
        : bytes_(bytes), budget_(limits), sink_(budget_, index, out) {}

    Status decode() {
        try {
            // Metadata follows the series it speaks of.
            Status status = read_all_metadata();
            if (status) status = read_all_series();
            if (status) return status;
            return fail(status.error().kind, place(status.error().message));
        } catch (const protozero::exception& error) {
            return fail(ErrorKind::kInvalid, place(error.what()));
        }
    }

private:
    std::string place(std::string_view why) const {
        return fmt::format("remote write: {}, in the series or metadata at byte {}", why, at_);
    }

    pbf_reader enter(pbf_reader& reader) {
        const auto view = reader.get_view();
        at_ = static_cast<std::size_t>(view.data() - bytes_.data());
        return pbf_reader(view);
    }

    Status read_all_metadata() {
        pbf_reader request(bytes_.data(), bytes_.size());
        while (request.next()) {
            if (request.tag_and_type() != kMetadata) {
                request.skip();
                continue;
            }
            pbf_reader metadata = enter(request);
            VIGIE_TRY(budget_.take_item());
            // What is known of a series holds for these families only.
            seed_ = hash_of({metadata.data().data(), metadata.length()}, seed_);
            std::int32_t type = 0;
            std::string name;
            while (metadata.next()) {
                switch (metadata.tag_and_type()) {
                    case kMetadataType: type = metadata.get_int32(); break;
                    case kMetadataName:
                        name = clean_label(view_of(metadata.get_view()), budget_);
                        break;
                    default: metadata.skip();
                }
            }
            VIGIE_TRY(budget_.take_bytes(name.size() + 64));
            families_[std::move(name)] = static_cast<FamilyType>(type);
        }
        return {};
    }

    Status read_all_series() {
        pbf_reader request(bytes_.data(), bytes_.size());
        while (request.next()) {
            if (request.tag_and_type() != kTimeseries) {
                request.skip();
                continue;
            }
            VIGIE_TRY(read_series(enter(request)));
        }
        return {};
    }

    Status read_series(pbf_reader series) {
        const Labelled labels(series, budget_, families_);
        const std::string_view bytes(series.data().data(), series.length());
        const auto mark = sink_.mark();
        if (const auto read = read_usual_series(bytes, labels)) return settle(*read, mark, 1);
        sink_.back_to(mark);
        std::uint64_t hash = seed_;
        std::size_t items = 0;
        pbf_reader fields = series;
        while (fields.next()) {
            if (fields.tag_and_type() == kSeriesLabel) {
                hash = hash_of(view_of(fields.get_view()), hash);
            } else {
                fields.skip();
            }
        }
        Status status;
        while (series.next() && status) {
            switch (series.tag_and_type()) {
                case kSeriesSample:
                    status = read_sample(view_of(series.get_view()), hash, labels);
                    ++items;
                    break;
                case kSeriesHistogram:
                    status = read_histogram(series.get_message(), hash, labels);
                    ++items;
                    break;
                case kSeriesExemplar:
                    series.skip();
                    ++sink_.counts().exemplars;
                    break;
                default: series.skip();
            }
        }
        return settle(std::move(status), mark, std::max<std::size_t>(items, 1));
    }

    // A series that is wrong is left out whole.
    Status settle(Status status, const SampleSink::Mark& mark, std::size_t items) {
        if (!status) sink_.back_to(mark);
        if (!status && status.error().kind != ErrorKind::kRefused) {
            status.error().message = place(status.error().message);
        }
        return sink_.refuse(std::move(status), items);
    }

    // A series as Prometheus writes it, labels first and then samples: nullopt when there is
    // anything else in it.
    std::optional<Status> read_usual_series(std::string_view bytes, const Namer& namer) {
        WireCursor cursor(bytes);
        std::string_view labels;
        if (!cursor.take_run(0x0a, labels)) return std::nullopt;
        const std::uint64_t hash = hash_of(labels, seed_);
        while (!cursor.at_end()) {
            std::string_view sample;
            if (!cursor.next_is(0x12)) return std::nullopt;
            cursor.take_byte();
            if (!cursor.take_bytes(sample)) return std::nullopt;
            const Status read = read_sample(sample, hash, namer);
            if (!read) return read;
        }
        return Status{};
    }

    Status read_sample(std::string_view bytes, std::uint64_t hash, const Namer& namer) {
        double value = 0;
        std::int64_t millis = 0;
        if (!read_remote_sample(bytes, value, millis)) {
            return fail(ErrorKind::kInvalid, "a sample is not protobuf");
        }
        VIGIE_TRY_ASSIGN(const EventTime at, time_of_millis(millis));
        ++sink_.counts().floats;
        return sink_.add(hash, at, value, is_stale(value), namer);
    }

    Status read_histogram(pbf_reader fields, std::uint64_t hash, const Labelled& labels) {
        VIGIE_TRY_ASSIGN(SeriesName name, labels.name());
        MetricWriter writer(sink_, std::move(name.metric));
        VIGIE_TRY(write_native_histogram(fields, hash, labels, writer));
        ++sink_.counts().histograms;
        return {};
    }

    std::string_view bytes_;  // Outlives the decoder, which lives for one call.
    Budget budget_;
    SampleSink sink_;
    Families families_;
    std::uint64_t seed_ = 0;
    std::size_t at_ = 0;
};

}  // namespace

bool read_remote_sample(std::string_view bytes, double& value, std::int64_t& millis) {
    WireCursor usual(bytes);
    std::uint64_t number = 0;
    if (bytes.size() > 9 && usual.take_byte() == 0x09 && usual.take_fixed64(value) &&
        usual.take_byte() == 0x10 && usual.take_varint(number) && usual.at_end()) {
        millis = static_cast<std::int64_t>(number);
        return true;
    }
    value = 0;
    try {
        pbf_reader fields(bytes.data(), bytes.size());
        while (fields.next()) {
            switch (fields.tag_and_type()) {
                case tag_and_type(1, pbf_wire_type::fixed64): value = fields.get_double(); break;
                case tag_and_type(2, pbf_wire_type::varint): millis = fields.get_int64(); break;
                default: fields.skip();
            }
        }
        return true;
    } catch (const protozero::exception&) {
        return false;
    }
}

Status decode_remote_write_1(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
                             DecodedSamples& out) {
    return Decoder(bytes, limits, index, out).decode();
}

}  // namespace vigie::schemas::detail
