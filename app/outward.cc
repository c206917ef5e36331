#include "app/outward.h"

#include <unistd.h>

#include <array>
#include <utility>

#include <fmt/format.h>

#include "app/act_stage.h"
#include "app/notify_stage.h"
#include "core/rng.h"
#include "core/system_rng.h"
#include "responders/actions/executor.h"
#include "responders/actions/pool.h"

namespace vigie::app {

namespace {

// Another one at every start: that is how a process tells its own work from a dead one's.
std::string instance_name() {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    return fmt::format("{}-{:016x}", host.data(), system_seed());
}

Status fill(const OutwardConfig& config, actions::Catalogue& catalogue) {
    if (config.kubernetes) actions::add_kubernetes_actions(*config.kubernetes, catalogue);
    if (config.proxmox) actions::add_proxmox_actions(*config.proxmox, catalogue);
    return actions::add_http_action(config.http_targets, catalogue);
}

Result<notify::Notifier::Channels> make_channels(const OutwardConfig& config, const Clock& clock) {
    notify::Notifier::Channels channels;
    for (const auto& options : config.slack) {
        VIGIE_TRY_ASSIGN(channels.emplace_back(), notify::make_slack(options, clock));
    }
    for (const auto& options : config.pagerduty) {
        VIGIE_TRY_ASSIGN(channels.emplace_back(), notify::make_pagerduty(options, clock));
    }
    for (const auto& options : config.webhooks) {
        VIGIE_TRY_ASSIGN(channels.emplace_back(), notify::make_webhook(options, clock));
    }
    return channels;
}

class ProcessOutward final : public Outward {
public:
    ProcessOutward(const OutwardConfig& config,
                   std::unique_ptr<actions::FileKillSwitch> kill_switch,
                   notify::Notifier::Channels channels, actions::Runner::Publish publish,
                   const Clock& clock, MetricsRegistry& metrics, Log& log)
        : config_(config),
          metrics_(metrics),
          log_(log),
          kill_switch_(std::move(kill_switch)),
          channels_(std::move(channels)),
          action_pool_({config.action_threads, 256}, metrics),
          notify_pool_({2, 256}, metrics),
          runner_(runner_options(config),
                  {catalogue_, action_pool_, *kill_switch_, waiter_, clock, metrics, log},
                  std::move(publish)) {}

    ~ProcessOutward() override { stop(); }

    Status open() { return fill(config_, catalogue_); }

    std::unique_ptr<streams::Processor> make_act_stage() override {
        actions::Executor::Options options;
        options.orphan_wait = config_.orphan_wait;
        return std::make_unique<ActStage>(
            std::make_unique<actions::Executor>(options, runner_, metrics_, log_));
    }

    std::unique_ptr<streams::Processor> make_notify_stage() override {
        notify::Notifier::Options options;
        options.link_prefix = config_.link_prefix;
        options.retry_wait_min = config_.retry_wait_min;
        options.routes = config_.routes;
        auto submit = [this](std::function<void(const std::stop_token&)> work) {
            return notify_pool_.submit(std::move(work));
        };
        return std::make_unique<NotifyStage>(std::make_unique<notify::Notifier>(
            options, channels_, std::move(submit), Rng(system_seed()), metrics_, log_));
    }

    actions::FileKillSwitch& kill_switch() override { return *kill_switch_; }

    void stop() override {
        action_pool_.stop();
        notify_pool_.stop();
    }

private:
    static actions::Runner::Options runner_options(const OutwardConfig& config) {
        actions::Runner::Options options;
        options.instance = instance_name();
        options.action_timeout = config.action_timeout;
        options.settle_wait = config.settle_wait;
        return options;
    }

    const OutwardConfig config_;
    MetricsRegistry& metrics_;
    Log& log_;
    const std::unique_ptr<actions::FileKillSwitch> kill_switch_;
    const notify::Notifier::Channels channels_;
    actions::Catalogue catalogue_;
    actions::ThreadWaiter waiter_;
    actions::ThreadPool action_pool_;
    actions::ThreadPool notify_pool_;  // Its own: a slow target must not hold up a page.
    actions::Runner runner_;           // Last: it uses everything above.
};

}  // namespace

Status check_outward(const OutwardConfig& config, const Clock& clock) {
    actions::Catalogue catalogue;
    VIGIE_TRY(fill(config, catalogue));
    VIGIE_TRY(make_channels(config, clock));
    return {};
}

Result<std::unique_ptr<Outward>> Outward::create(const OutwardConfig& config,
                                                 const std::string& kill_switch_file,
                                                 actions::Runner::Publish publish,
                                                 const Clock& clock, MetricsRegistry& metrics,
                                                 Log& log) {
    VIGIE_TRY_ASSIGN(auto kill_switch, actions::FileKillSwitch::open(kill_switch_file));
    VIGIE_TRY_ASSIGN(auto channels, make_channels(config, clock));
    auto outward =
        std::make_unique<ProcessOutward>(config, std::move(kill_switch), std::move(channels),
                                         std::move(publish), clock, metrics, log);
    VIGIE_TRY(outward->open());
    return std::unique_ptr<Outward>(std::move(outward));
}

}  // namespace vigie::app
