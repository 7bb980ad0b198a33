// The command line. What the commands do is in their files.

#include <CLI/CLI.hpp>
#include <new>

#include "baracuda/core/version.h"
#include "testing/child_process.h"
#include "tools/commands.h"

using namespace baracuda::tools;

namespace {

/// "expected a command, one of info, plans, …; got 'nothing'"
std::string no_command(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  const std::vector<std::string> given = app.remaining();
  return (app.get_parent() ? app.get_name() + ": " : "") + "expected a command, one of " + join(names, ", ") +
         (given.empty() ? "" : "; got '" + given.front() + "'");
}

/// As a shell would have to be given it.
std::string quoted(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=,.:/@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return std::string(word);
  std::string text = "'";
  for (const char character : word) {
    if (character == '\'') text += "'\\'";
    text += character;
  }
  return text + "'";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == baracuda::testing::kChildFlag)
    return baracuda::testing::run_child({argv + 2, argv + argc});
  CLI::App app("Shows what the library holds and does on this machine, and checks it.", "baracuda");
  app.set_version_flag("--version", "baracuda " + std::string(baracuda::version()));
  app.require_subcommand(1);

  InfoOptions info_options;
  CLI::App* info_command = app.add_subcommand("info", "This machine: CPU, GPUs, libraries, environment");
  info_command->add_flag("--json", info_options.json);

  PlansOptions plans_options;
  CLI::App* plans_command = app.add_subcommand("plans", "The ops, their kernels and the devices that run them");
  plans_command->add_flag("--markdown", plans_options.markdown, "As the README shows it")
      ->excludes(plans_command->add_flag("--json", plans_options.json));
  plans_command->add_option("--page", plans_options.page, "The table of an op's page in docs/ops instead");

  ExplainOptions explain_options;
  CLI::App* explain_command = app.add_subcommand("explain", "Which kernel serves a case, and why no other");
  explain_command->add_option("case", explain_options.words, "OP FIELD=VALUE …")->required();
  explain_command->add_option("--device", explain_options.device, "cpu, cuda or cuda:N")
      ->excludes(explain_command->add_option(
          "--arch", explain_options.arch, "cpu, sm80, sm89 or sm90a: a typical device of that class, present or not"));
  explain_command->add_flag("--json", explain_options.json);

  VerifyCommandOptions verify_options;
  CLI::App* verify_command = app.add_subcommand("verify", "Compares random cases with a slow reference");
  CLI::Option* verify_ops = verify_command->add_option("op", verify_options.ops, "These alone");
  verify_command->add_option("--device", verify_options.device, "cpu, cuda or cuda:N");
  CLI::Option* quick = verify_command->add_flag("--quick", verify_options.quick, "A few seconds' worth");
  verify_command->add_option("--seed", verify_options.seed, "Of the random cases")->capture_default_str();
  verify_command->add_option("--case", verify_options.case_text, "One case, as a failure prints it")
      ->excludes(verify_ops)
      ->excludes(quick);
  verify_command->add_flag("--json", verify_options.json);

  const std::string case_help =
      "OP, for all its kernels, or a case, OP FIELD=VALUE … in one argument; all unless given";
  const std::string arch_help =
      "Of sm80, sm89, sm90a, or as in sm80@sm90 a class forced on a newer device; all unless given";

  KernelsOptions keys_options;
  CLI::App* keys_command = app.add_subcommand("keys", "The cache key of each CUDA kernel; needs no compiler");
  keys_command->add_option("case", keys_options.cases, case_help);
  keys_command->add_option("--nvrtc", keys_options.nvrtc_version, "The compiler's version, as in 13.0")->required();
  keys_command->add_option("--arch", keys_options.archs, arch_help)->delimiter(',')->allow_extra_args(false);
  keys_command->add_flag("--json", keys_options.json);

  KernelsOptions compile_options;
  CLI::App* compile_command = app.add_subcommand(
      "compile", "Compiles each CUDA kernel; fails on an error, spilled registers or a C75xx warning");
  compile_command->add_option("case", compile_options.cases, case_help);
  compile_command->add_option("--arch", compile_options.archs, arch_help)->delimiter(',')->allow_extra_args(false);
  compile_command->add_flag("--json", compile_options.json);

  const std::string list_help = "A file of cases and ops, one a line, # before comments; - is stdin";
  WarmOptions warm_options;
  CLI::App* warm_command = app.add_subcommand("warm", "Compiles the kernels of a list into the folder that keeps them");
  warm_command->add_option("list", warm_options.list, list_help)->required();
  warm_command->add_option("--arch", warm_options.archs, "As of compile; those of the GPUs present unless given")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->excludes(warm_command->add_option("--device", warm_options.device, "For this GPU: cuda or cuda:N"));
  warm_command->add_flag("--json", warm_options.json);

  PackOptions pack_options;
  CLI::App* pack_command =
      app.add_subcommand("pack", "Writes the kernels of a list to one file, for machines without NVRTC");
  pack_command->add_option("list", pack_options.list, list_help)->required();
  pack_command->add_option("-o,--output", pack_options.pack, "The pack; BARACUDA_KERNEL_PACK loads it")->required();
  pack_command->add_option("--arch", pack_options.archs, arch_help)->delimiter(',')->allow_extra_args(false);
  pack_command->add_flag("--json", pack_options.json);

  BenchCommandOptions bench_options;
  CLI::App* bench_command =
      app.add_subcommand("bench", "Times cases beside what the device can do at best, which it measures too");
  bench_command->add_option("case", bench_options.cases_or_ops,
                            "\"OP FIELD=VALUE …\", or an OP for its default cases; those of all ops unless given");
  bench_command->add_option("--device", bench_options.device, "cpu, cuda or cuda:N");
  bench_command->add_option("--shapes", bench_options.shapes, list_help);
  bench_command->add_option("--seconds", bench_options.seconds, "For the samples of all cases")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  bench_command->add_option("--note", bench_options.note, "A remark that the JSON keeps");
  bench_command->add_option("--json", bench_options.json, "A file for all that was measured");

  CacheOptions cache_options;
  CLI::App* cache_command = app.add_subcommand("cache", "The folder that keeps compiled kernels: info [--json], clear");
  cache_command->require_subcommand(1);
  CLI::App* cache_info_command = cache_command->add_subcommand("info", "Where it is and what it holds");
  cache_info_command->add_flag("--json", cache_options.json);
  CLI::App* cache_clear_command =
      cache_command->add_subcommand("clear", "Removes the kernels in it, and no other file");

  try {
    app.parse(argc, argv);
    if (*info_command) return info(info_options);
    if (*plans_command) return plans(plans_options);
    if (*explain_command) return explain(explain_options);
    if (*verify_command) return verify(verify_options);
    if (*bench_command) {
      for (int i = 0; i < argc; ++i) bench_options.command.append(i ? " " : "").append(quoted(argv[i]));
      return bench(bench_options);
    }
    if (*keys_command) return keys(keys_options);
    if (*warm_command) return warm(warm_options);
    if (*pack_command) return pack(pack_options);
    if (*cache_info_command) return cache_info(cache_options);
    if (*cache_clear_command) return cache_clear();
    return compile(compile_options);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    // CLI11 says of a wrong command that one is required, and not which there are.
    for (const CLI::App* each : {&app, cache_command})
      if ((each == &app || *each) && each->get_subcommands().empty() && each->get_require_subcommand_min() > 0)
        return fail(no_command(*each), kBadInput);
    return fail(error.what(), kBadInput);
  } catch (const std::bad_alloc&) {  // by a large case
    return fail("the host is out of memory");
  }
}
