#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/time.h"
#include "detectors/codec.h"
#include "detectors/robust.h"

namespace vigie::detectors {

struct ModelOptions {
    std::uint32_t warmup_points = 60;
    EventClock::duration warmup_span{std::chrono::hours{1}};
    double threshold = 6;            // In usual spreads.
    double spread_ratio_min = 0.02;  // Of the level.
    double spread_min = 0;
    std::uint32_t odd_points = 3;
    std::uint32_t calm_points = 5;
    bool seasonal = true;
    bool up = true;    // Values above the usual can be odd,
    bool down = true;  // and values below.
    EventClock::duration adapt_after{std::chrono::minutes{30}};
    double deviation_min = 0;        // From the expected value: less is never odd,
    double deviation_ratio_min = 0;  // nor is less than this share of it.
    // Beyond them a value is odd, whatever is usual, from the first row on.
    double bound_low = -std::numeric_limits<double>::infinity();
    double bound_high = std::numeric_limits<double>::infinity();
};

// Why a row of the light detector is odd.
enum class LightSign : std::uint8_t {
    kLevel,      // Away from where it usually is, for several rows,
    kFlat,       // or the same value for far longer than ever, though it used to
                 // change,
    kSaturated,  // and that value is the largest it ever had.
    kBound,      // Beyond a bound of the configuration.
};

struct Judgement {
    bool judged = false;  // False in warm-up: the numbers below mean nothing then.
    double expected = 0;
    double lower = 0;
    double upper = 0;
    double score = 0;  // Deviation in multiples of the threshold, at most 1000.
    Episode::Turn turn = Episode::Turn::kNone;
    bool adapted = false;  // The anomaly ended because its level is the new normal.
    LightSign sign = LightSign::kLevel;
};

// Judges one series in 550 bytes and some 100 ns a row: a level that follows
// it, with and without the half hours of the day, the usual size of residuals
// and an exponential tail above their 99 % quantile. `odd_points` odd rows in a row begin
// an anomaly, and so do two that agree beyond a lower threshold, unless more than three are asked
// for; calm ones end it, and a level that lasts is the new normal.
class LightSeries {
public:
    LightSeries() { strayed_.fill(kUnseen); }

    // `at` is later than in the call before; `value` is finite and below 1e200 in size. `floor`
    // is the least spread that makes sense for this row. The same options in every call.
    Judgement observe(EventTime at, double value, double floor, const ModelOptions& options);

    // Fetches what observe() will read, for who knows some rows before that it comes. Inlined by
    // force: GCC takes a function that only fetches for one without effect, and leaves it out.
    [[gnu::always_inline]] void prefetch() const {
        constexpr std::ptrdiff_t kCacheLine = 64;
        const auto* const end = reinterpret_cast<const char*>(this) + sizeof(*this);
        const auto* byte = reinterpret_cast<const char*>(&lines_);
        for (; byte < end; byte += kCacheLine) __builtin_prefetch(byte);
        __builtin_prefetch(end - 1);
    }

    void forget_row();  // After a gap: what was odd before it does not add to what is after it.
    void fall_silent() { episode_.fall_silent(); }
    const Episode& episode() const { return episode_; }
    double level() const { return lines_[0].level; }
    // The usual spread without its floors; 0 before the first row.
    double spread() const { return kMeanDeviationScale * lines_[0].deviation; }
    // It is past its warm-up.
    bool warm(EventTime at, const ModelOptions& options) const {
        return points_ > options.warmup_points && 2 * lines_[0].learned >= options.warmup_points &&
               at - begin_ >= options.warmup_span;
    }

    void save(Encoder& out) const;
    void load(Decoder& in);
    // What format '3' of the metrics detector has: without pairs of rows.
    void load_without_pairs(Decoder& in);
    // What the model before this one saved, in format '2' of the metrics detector.
    void load_before(Decoder& in);

private:
    static constexpr std::size_t kSlots = 48;
    static constexpr std::int8_t kUnseen = 2;

    // One way to predict: a level, and how far off that usually is.
    struct Line {
        double level = 0;
        double deviation = 0;           // Mean absolute residual, cut.
        double error = 0;               // The same for longer: chooses between the lines.
        double tail = 0;                // What 1 % of the sizes that three rows agreed on exceed,
        double excess = 0;              // and by how much on average.
        std::array<float, 2> before{};  // Residuals of the last two rows.
        float pair_tail = 0;            // As `tail` and `excess`, of the size that two rows in a
        float pair_excess = 0;          // row agree on.
        std::uint32_t learned = 0;

        double spread(const ModelOptions& options, double floor) const;
        double threshold(const ModelOptions& options, double floor) const;
        double pair_threshold(const ModelOptions& options, double floor) const;
        double agree(double residual) const;
        double pair(double residual) const;
        void learn_pair(double residual, double spread_now);
        void count_error(double size, double spread_now);
        void learn(double residual, double spread_now);
    };

    // What a row shows, before it is judged.
    struct Look {
        double residual = 0;
        double threshold = 0;
        bool odd = false;
        bool paired = false;  // With the row before it is enough.
        bool outside = false;
        bool flat = false;
        Episode::Sight sight = Episode::Sight::kCalm;
    };

    void confirm_pair(bool borne_out, Episode::Turn turn);
    void load_as(Decoder& in, bool pairs);
    Look look(double value, double floor, double strictness, const Judgement& judgement,
              const ModelOptions& options) const;
    double offset(EventTime at) const;
    double days(EventTime at) const;
    double restraint(EventTime at) const;
    std::uint32_t odd_needed(const ModelOptions& options) const;
    void follow_odd(EventTime at, double value, const ModelOptions& options, Judgement& judgement);
    void close_slot(double seen);
    void find_center();
    void learn_slot(EventTime at, double value);
    void learn(EventTime at, double value, double floor, const ModelOptions& options);
    void count_run(double value);
    bool flat(const ModelOptions& options) const;
    void adapt(EventTime at);

    // Few bytes of the first two are read for a row, and all of what follows: see prefetch().
    std::array<float, kSlots> slots_{};          // What each half hour of the day held,
    std::array<std::int8_t, kSlots> strayed_{};  // and on which side the last was far off.
    std::array<Line, 2> lines_;                  // Plain, and with the hours taken off.
    Episode episode_;
    EventTime begin_;
    double last_ = 0;
    double largest_ = 0;
    double center_ = 0;  // Mean of the slots that were seen.
    double slot_sum_ = 0;
    double odd_level_ = 0;      // While an anomaly fires: where the series is now,
    double odd_deviation_ = 0;  // and how it scatters there.
    double episodes_ = 0;       // Past anomalies, forgotten with a half-life of a day.
    EventTime episodes_at_;
    std::int64_t slot_ = 0;  // Since 1970: the one that is summed up.
    std::uint32_t slot_count_ = 0;
    std::uint32_t points_ = 0;    // Stops at its largest value.
    std::uint32_t run_ = 0;       // Rows with the value of the last,
    std::uint32_t run_most_ = 0;  // and the most of them ever, before this run.
    std::uint32_t changes_ = 0;
    std::uint32_t odd_rows_ = 0;
    float odd_share_ = 0;  // Of rows outside anomalies.
    std::uint8_t active_ = 0;
    bool above_ = false;
    bool flat_told_ = false;   // The anomaly that fires is a flat line,
    bool bound_told_ = false;  // or beyond a bound.
    bool pair_open_ = false;   // It began with a pair, and the next row is to bear it out.
    float pair_raise_ = 1;     // Pairs need so much more, because others were not borne out.
    EventTime last_at_;
};

}  // namespace vigie::detectors
