//! The process that puts a notice on the desktop: `cloud-agent notify`, with the notice in its environment. It knows no agent.
//!
//! A process of its own, as the one that asks the keyring: the libraries of a desktop bring threads, and may hang.

use std::process::ExitCode;

use super::{TEXT, TITLE};

/// The whole process. Why nobody was told goes to stderr.
pub(crate) fn show() -> ExitCode {
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    match system::show(&of(TITLE), &of(TEXT)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// By the session bus, as every desktop takes it; else by the program that does the same.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"))]
mod system {
    use std::collections::HashMap;
    use std::process::Command;

    use zbus::blocking::Connection;
    use zbus::zvariant::Value;

    const SERVICE: &str = "org.freedesktop.Notifications";
    const PLACE: &str = "/org/freedesktop/Notifications";
    /// What the desktop shows for one that names none of its own.
    const ICON: &str = "dialog-password";
    const NORMAL: u8 = 1;
    /// The desktop's own idea of how long it is shown.
    const AS_USUAL: i32 = -1;

    pub(super) fn show(title: &str, text: &str) -> Result<(), String> {
        let Err(why) = by_bus(title, text) else { return Ok(()) };
        let sent = Command::new("notify-send").args(["--app-name=cloud-agent", "--", title, &plain(text)]).status();
        if sent.is_ok_and(|status| status.success()) { Ok(()) } else { Err(why.to_string()) }
    }

    fn by_bus(title: &str, text: &str) -> zbus::Result<()> {
        let hints = HashMap::from([("urgency", Value::from(NORMAL))]);
        let (replaces, actions) = (0_u32, Vec::<&str>::new());
        let body = ("cloud-agent", replaces, ICON, title, plain(text), actions, hints, AS_USUAL);
        Connection::session()?.call_method(Some(SERVICE), PLACE, Some(SERVICE), "Notify", &body).map(drop)
    }

    /// The body, and not the title, may be read as markup.
    fn plain(text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }
}

/// By the system's script language: a notification of a program's own takes a bundle with a signature.
#[cfg(target_os = "macos")]
mod system {
    use std::process::Command;

    /// What is told is an argument of the script, and no part of it.
    const SCRIPT: &str = "on run argv\ndisplay notification (item 2 of argv) with title \"cloud-agent\" subtitle (item 1 of argv)\nend run";

    pub(super) fn show(title: &str, text: &str) -> Result<(), String> {
        let told = Command::new("/usr/bin/osascript").args(["-e", SCRIPT, title, text]).status();
        match told {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("osascript: {status}")),
            Err(why) => Err(format!("osascript: {why}")),
        }
    }
}

/// A toast, by the PowerShell that every Windows has: one of a program's own takes a shortcut that an installer made.
#[cfg(windows)]
mod system {
    use std::os::windows::process::CommandExt as _;
    use std::process::Command;

    use windows_sys::Win32::System::Threading::CREATE_NO_WINDOW;

    /// What is told is read from the environment, and no part of the script.
    const SCRIPT: &str = "$ErrorActionPreference = 'Stop'
[void][Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
$toast = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent('ToastText02')
$lines = $toast.GetElementsByTagName('text')
[void]$lines.Item(0).AppendChild($toast.CreateTextNode($env:CLOUD_AGENT_NOTICE_TITLE))
[void]$lines.Item(1).AppendChild($toast.CreateTextNode($env:CLOUD_AGENT_NOTICE_TEXT))
$of = '{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\\WindowsPowerShell\\v1.0\\powershell.exe'
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier($of).Show($toast)";

    pub(super) fn show(_: &str, _: &str) -> Result<(), String> {
        let mut command = Command::new("powershell.exe");
        command.args(["-NoProfile", "-NonInteractive", "-Command", SCRIPT]).creation_flags(CREATE_NO_WINDOW);
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("powershell: {status}")),
            Err(why) => Err(format!("powershell: {why}")),
        }
    }
}

#[cfg(not(any(windows, target_os = "macos", target_os = "linux", target_os = "freebsd", target_os = "openbsd")))]
mod system {
    pub(super) fn show(_: &str, _: &str) -> Result<(), String> {
        Err("it is not known how a notice is put on the desktop of this system".to_owned())
    }
}
