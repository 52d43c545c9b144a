class CloudAgent < Formula
  desc "Agent that renews and hands out access tokens of cloud accounts"
  homepage "@HOMEPAGE@"
  url "@RELEASE@/cloud-agent-@VERSION@.tar.gz"
  sha256 "@SHA256_SOURCE@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args(path: "daemon")
    system "cargo", "install", *std_cargo_args(path: "client")
    %w[@HELPERS@].each do |helper|
      bin.install_symlink "cloud-token" => helper
    end
    man1.install Dir["client/man/*.1", "daemon/man/*.1"]
    generate_completions_from_executable(bin/"cloud-token", "completions", shells: [:bash, :zsh, :fish])
  end

  # Not needed: the first call starts the agent. As the job of `cloud-token setup launchd`, which is in packaging/launchd.
  service do
    run [opt_bin/"cloud-agent"]
    keep_alive successful_exit: false
    process_type :background
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/cloud-agent --version")
    ENV["CLOUD_AGENT_NO_AUTOSTART"] = "1"
    assert_match "no agent answers", shell_output("#{bin}/cloud-token status 2>&1", 3)
  end
end
