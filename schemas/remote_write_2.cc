#include <algorithm>

#include <fmt/format.h>
#include <protozero/pbf_reader.hpp>

#include "schemas/prometheus.h"
#include "schemas/remote_write.h"
#include "schemas/wire_cursor.h"

// io.prometheus.write.v2.Request (prometheus/prompb/io/prometheus/write/v2/types.proto): texts are
// in one table, series refer to them by number.
namespace vigie::schemas::detail {

namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::tag_and_type;

constexpr auto kSymbols = tag_and_type(4, pbf_wire_type::length_delimited);
constexpr auto kTimeseries = tag_and_type(5, pbf_wire_type::length_delimited);
constexpr auto kLabelRefs = tag_and_type(1, pbf_wire_type::length_delimited);
constexpr auto kLabelRef = tag_and_type(1, pbf_wire_type::varint);
constexpr auto kSample = tag_and_type(2, pbf_wire_type::length_delimited);
constexpr auto kHistogram = tag_and_type(3, pbf_wire_type::length_delimited);
constexpr auto kExemplar = tag_and_type(4, pbf_wire_type::length_delimited);
constexpr auto kMetadata = tag_and_type(5, pbf_wire_type::length_delimited);
constexpr auto kMetadataType = tag_and_type(1, pbf_wire_type::varint);

struct Symbol {
    std::string_view text;
    std::uint64_t hash = 0;
};

class Decoder {
public:
    Decoder(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
            DecodedSamples& out)
        : bytes_(bytes), budget_(limits), sink_(budget_, index, out) {}

    Status decode() {
        try {
            Status status = read_symbols();
            if (status) status = read_all_series();
            if (status) return status;
            return fail(status.error().kind, place(status.error().message));
        } catch (const protozero::exception& error) {
            return fail(ErrorKind::kInvalid, place(error.what()));
        }
    }

private:
    // What one series says besides its points.
    struct Head {
        std::uint64_t hash = 0;
        FamilyType type = FamilyType::kUnknown;
    };

    class Labelled final : public Namer, public PointLabels {
    public:
        Labelled(const Decoder& decoder, FamilyType type) : decoder_(decoder), type_(type) {}
        Result<SeriesName> name() const override {
            Labels labels;
            for (std::size_t i = 0; i < decoder_.refs_.size(); i += 2) {
                VIGIE_TRY(decoder_.budget_.check_count(labels));
                std::string key = decoder_.text_at(i);
                if (key.empty()) return fail(ErrorKind::kInvalid, "a label without a name");
                labels.emplace_back(std::move(key), decoder_.text_at(i + 1));
            }
            return name_series(std::move(labels), type_, decoder_.budget_);
        }
        Result<Labels> labels() const override {
            VIGIE_TRY_ASSIGN(SeriesName all, name());
            return std::move(all.labels);
        }

    private:
        const Decoder& decoder_;
        const FamilyType type_;
    };

    std::string place(std::string_view why) const {
        return fmt::format("remote write 2.0: {}, in or after the series at byte {}", why, at_);
    }

    std::string text_at(std::size_t ref) const {
        return clean_label(symbols_[refs_[ref]].text, budget_);
    }

    Status read_symbols() {
        pbf_reader request(bytes_.data(), bytes_.size());
        while (request.next()) {
            if (request.tag_and_type() != kSymbols) {
                request.skip();
                continue;
            }
            VIGIE_TRY(budget_.take_bytes(sizeof(Symbol)));
            const auto view = request.get_view();
            const std::string_view text(view.data(), view.size());
            symbols_.push_back({text, hash_of(text)});
        }
        if (!symbols_.empty() && !symbols_.front().text.empty()) {
            return fail(ErrorKind::kInvalid, "the first symbol is not empty");
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
            const auto view = request.get_view();
            at_ = static_cast<std::size_t>(view.data() - bytes_.data());
            VIGIE_TRY(read_series(pbf_reader(view)));
        }
        return {};
    }

    // Refers to a text that is there, or the series is refused.
    Status add_ref(std::uint32_t ref, Head& head) {
        if (ref >= symbols_.size()) {
            return fail(ErrorKind::kInvalid, fmt::format("there is no symbol {}", ref));
        }
        refs_.push_back(ref);
        head.hash = mix(head.hash, symbols_[ref].hash);
        return {};
    }

    Result<Head> read_head(pbf_reader series) {
        Head head;
        refs_.clear();
        while (series.next()) {
            switch (series.tag_and_type()) {
                case kLabelRefs:
                    for (const std::uint32_t ref : series.get_packed_uint32()) {
                        VIGIE_TRY(add_ref(ref, head));
                    }
                    break;
                case kLabelRef: {
                    VIGIE_TRY(add_ref(series.get_uint32(), head));
                    break;
                }
                case kMetadata: {
                    pbf_reader metadata = series.get_message();
                    while (metadata.next()) {
                        if (metadata.tag_and_type() == kMetadataType) {
                            head.type = static_cast<FamilyType>(metadata.get_int32());
                        } else {
                            metadata.skip();
                        }
                    }
                    break;
                }
                default: series.skip();
            }
        }
        if (refs_.size() % 2 != 0) {
            return fail(ErrorKind::kInvalid, "a label without a value");
        }
        head.hash = mix(head.hash, static_cast<std::uint64_t>(head.type));
        return head;
    }

    Status read_series(pbf_reader series) {
        const auto head = read_head(series);
        const auto mark = sink_.mark();
        std::size_t items = 0;
        Status status;
        if (head) {
            status = read_points(series, *head, items);
        } else {
            status = fail(head.error());
        }
        if (!status) {
            status.error().message = place(status.error().message);
            sink_.back_to(mark);
        }
        return sink_.refuse(std::move(status), std::max<std::size_t>(items, 1));
    }

    Status read_points(pbf_reader series, const Head& head, std::size_t& items) {
        const Labelled labels(*this, head.type);
        while (series.next()) {
            switch (series.tag_and_type()) {
                case kSample: {
                    ++items;
                    const auto view = series.get_view();
                    VIGIE_TRY(read_sample({view.data(), view.size()}, head, labels));
                    break;
                }
                case kHistogram: {
                    ++items;
                    VIGIE_TRY_ASSIGN(SeriesName name, labels.name());
                    MetricWriter writer(sink_, std::move(name.metric));
                    VIGIE_TRY(
                        write_native_histogram(series.get_message(), head.hash, labels, writer));
                    ++sink_.counts().histograms;
                    break;
                }
                case kExemplar:
                    series.skip();
                    ++sink_.counts().exemplars;
                    break;
                default: series.skip();
            }
        }
        return {};
    }

    Status read_sample(std::string_view bytes, const Head& head, const Namer& namer) {
        double value = 0;
        std::int64_t millis = 0;
        if (!read_remote_sample(bytes, value, millis)) {
            return fail(ErrorKind::kInvalid, "a sample is not protobuf");
        }
        VIGIE_TRY_ASSIGN(const EventTime at, time_of_millis(millis));
        ++sink_.counts().floats;
        return sink_.add(head.hash, at, value, is_stale(value), namer);
    }

    std::string_view bytes_;  // Outlives the decoder, which lives for one call.
    Budget budget_;
    SampleSink sink_;
    std::vector<Symbol> symbols_;
    std::vector<std::uint32_t> refs_;  // Of the series being read: name, value, name, …
    std::size_t at_ = 0;
};

}  // namespace

Status decode_remote_write_2(std::string_view bytes, const DecodeLimits& limits, SeriesIndex& index,
                             DecodedSamples& out) {
    return Decoder(bytes, limits, index, out).decode();
}

}  // namespace vigie::schemas::detail
