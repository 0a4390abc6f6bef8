//! The page that `holm diagram --format html` makes, in a browser: Debian's chromium, without a window, clicked and typed at as
//! a user does, by its own protocol over two pipes (Chrome DevTools Protocol).

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use testkit::{Scratch, skip};

/// A page as it is drawn now: a test of the drawing holds it.
const PAGE: &str = include_str!("../src/diagram/golden/machine.html");

/// What the script of a test asks of the page: areas, titles and what is around them.
const WORDS: &str = r#"
    const title = (text) => [...document.querySelectorAll(".title")].find((one) => one.textContent.endsWith(text));
    const area = (text) => title(text).closest(".area");
    const shown = (one) => !one || getComputedStyle(one).display !== "none" && shown(one.parentElement);
    const inner = (group) => [...group.children].filter((one) => one.matches(".area, .item, .chip"));
    const middle = (one) => { one.scrollIntoView({ block: "center" }); const { left, top, width, height } = one.getBoundingClientRect(); return [left + width / 2, top + height / 2]; };
    const found = () => [...document.querySelectorAll(".found")].map((one) => one.querySelector(".title, :scope > text").textContent);
    const colour = (one, what) => getComputedStyle(document.querySelector(one))[what];
    const picture = () => document.querySelector("svg").outerHTML;"#;

/// A browser with the page.
struct Browser {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Value,
    asked: u64,
    /// What it told without being asked.
    events: Vec<Value>,
    _scratch: Scratch,
}

impl Browser {
    /// Opens the page; `None`, with a word about it, without a browser.
    fn open() -> Option<Browser> {
        if Command::new("chromium").arg("--version").output().is_err() {
            skip("chromium is missing: test.sh installs it");
            return None;
        }
        let scratch = Scratch::new("page");
        std::fs::write(scratch.join("machine.html"), PAGE).expect("it can be written");
        // It reads from descriptor 3 and answers on 4; and ends in time whatever happens.
        let script = "exec timeout --kill-after=5 60 chromium --headless --no-sandbox --remote-debugging-pipe --user-data-dir=\"$HOME/data\" \
             --disable-gpu --disable-breakpad --no-first-run --disable-background-networking about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .envs(["HOME", "TMPDIR"].map(|name| (name, scratch.path())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let asks = child.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let page = format!("file://{}", scratch.join("machine.html").display());
        let mut browser =
            Browser { child, asks, answers, session: Value::Null, asked: 0, events: Vec::new(), _scratch: scratch };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attach = json!({ "targetId": target, "flatten": true });
        browser.session = browser.call("Target.attachToTarget", attach)["sessionId"].clone();
        for part in ["Page", "Log", "Runtime", "Network"] {
            browser.call(&format!("{part}.enable"), json!({}));
        }
        let size = json!({ "width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        browser.call("Emulation.setDeviceMetricsOverride", size);
        browser.call("Page.navigate", json!({ "url": page }));
        while !browser.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = browser.next();
            browser.events.push(event);
        }
        browser.tells(WORDS.replace("const ", "var ").as_str());
        Some(browser)
    }

    /// The next message: JSON up to a NUL.
    fn next(&mut self) -> Value {
        let mut message = Vec::new();
        self.answers.read_until(0, &mut message).expect("the pipe can be read");
        assert_eq!(message.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&message).expect("it is JSON")
    }

    /// Asks for something, and returns the answer.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if !self.session.is_null() {
            message["sessionId"] = self.session.clone();
        }
        write!(self.asks, "{message}\0").expect("the browser reads");
        loop {
            let answer = self.next();
            if answer["id"] == self.asked {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    /// The value of an expression in the page.
    fn tells(&mut self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Clicks into the middle of an element.
    fn click(&mut self, element: &str) {
        let at = self.tells(&format!("middle({element})"));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Presses a key, which may type something.
    fn press(&mut self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types a text into what is focused, in place of what is there.
    fn types(&mut self, text: &str) {
        self.tells("document.activeElement.select()");
        match text {
            "" => self.press("Backspace", 8, ""),
            _ => drop(self.call("Input.insertText", json!({ "text": text }))),
        }
    }

    /// Sets what the reader prefers.
    fn prefers(&mut self, look: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": look }] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// The colours of the page, of a box and of what is written on it.
    fn look(&mut self) -> Value {
        self.tells("[colour('body', 'backgroundColor'), colour('rect.set', 'fill'), colour('.t-set', 'fill')]")
    }

    /// Ends it. Nothing was loaded but the page, and nothing failed in it.
    fn end(mut self) {
        let of = |method: &str| self.events.iter().filter(|event| event["method"] == method).collect::<Vec<_>>();
        let loaded: Vec<&Value> =
            of("Network.requestWillBeSent").iter().map(|event| &event["params"]["request"]["url"]).collect();
        assert!(
            loaded.len() == 1 && loaded[0].as_str().is_some_and(|url| url.ends_with("/machine.html")),
            "{loaded:?}"
        );
        assert_eq!((of("Log.entryAdded"), of("Runtime.exceptionThrown")), (Vec::new(), Vec::new()));
        self.session = Value::Null;
        self.call("Browser.close", json!({}));
        self.child.wait().expect("it is ours");
    }
}

/// One that a failed test leaves is ended.
impl Drop for Browser {
    fn drop(&mut self) {
        // Its timeout(1), which passes that on.
        let ended =
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
        let _ = ended.map(|()| self.child.wait());
    }
}

#[test]
fn boxes_collapse_what_is_searched_is_marked_and_dark_follows_the_reader() {
    let Some(mut browser) = Browser::open() else { return };
    boxes_collapse_by_mouse_and_by_keyboard(&mut browser);
    all_sets_collapse_at_once(&mut browser);
    what_is_searched_is_marked_and_shown(&mut browser);
    dark_follows_the_reader_and_the_button(&mut browser);
    browser.end();
}

fn boxes_collapse_by_mouse_and_by_keyboard(browser: &mut Browser) {
    let state = "[title('C · bwrap').getAttribute('aria-expanded'), inner(area('C · bwrap')).filter(shown).length, title('C · bwrap').textContent]";
    let open = json!(["true", 10, "▾ C · bwrap"]);
    let closed = json!(["false", 0, "▸ C · bwrap"]);
    let before = browser.tells("picture()");
    assert_eq!(browser.tells(state), open);
    browser.click("title('C · bwrap')");
    assert_eq!(browser.tells(state), closed);
    assert_eq!(
        browser.tells("[...area('C · bwrap').querySelectorAll(':scope .area *')].some(shown)"),
        false,
        "so is what is in those"
    );
    browser.click("title('C · bwrap')");
    assert_eq!(browser.tells(state), open);
    assert_eq!(browser.tells("picture()"), before, "all is where it was");
    // From the last button the next stop is the outermost box, and each box is one.
    browser.tells("document.getElementById('dark').focus()");
    let focused = "document.activeElement.textContent";
    browser.press("Tab", 9, "");
    assert_eq!(browser.tells(focused), "▾ Host system");
    while browser.tells(focused) != "▾ C · bwrap" {
        browser.press("Tab", 9, "");
        assert_eq!(
            browser.tells("document.activeElement.classList.contains('title')"),
            true,
            "not all boxes are a stop"
        );
    }
    browser.press("Enter", 13, "\r");
    assert_eq!(browser.tells(state), closed);
    browser.press(" ", 32, " ");
    assert_eq!(browser.tells(state), open);
    assert_eq!(browser.tells("picture()"), before);
}

fn all_sets_collapse_at_once(browser: &mut Browser) {
    let open =
        "[...document.querySelectorAll('.area .area')].filter((one) => shown(one) && inner(one).some(shown)).length";
    let (before, count) = (browser.tells("picture()"), browser.tells(open).as_u64());
    assert!(count > Some(5), "{count:?}");
    let height = "document.querySelector('svg').getBoundingClientRect().height";
    let tall = browser.tells(height).as_f64();
    browser.click("document.getElementById('collapse')");
    assert_eq!(browser.tells(open), 0);
    assert!(browser.tells(height).as_f64() < tall.map(|tall| tall / 2.0), "what is hidden still has its place");
    assert_eq!(browser.tells("shown(area('Host system'))"), true, "the outermost stays");
    browser.click("document.getElementById('collapse')");
    assert_eq!(browser.tells("picture()"), before);
}

fn what_is_searched_is_marked_and_shown(browser: &mut Browser) {
    let state = "[document.getElementById('count').textContent, found()]";
    browser.click("title('C · bwrap')");
    browser.click("document.getElementById('search')");
    browser.types("CUSTOM-root");
    assert_eq!(browser.tells(state), json!(["1 found", ["▾ root /"]]));
    assert_eq!(browser.tells("shown(document.querySelector('.found'))"), true, "its box opens again");
    let faint =
        "[colour('.item:not(.found)', 'opacity'), colour('.area.found', 'opacity'), colour('.found > rect', 'stroke')]";
    assert_eq!(browser.tells(faint), json!(["0.3", "1", "rgb(245, 158, 11)"]));
    browser.types("nothing has this name");
    assert_eq!(browser.tells(state), json!(["0 found", []]));
    browser.types("");
    assert_eq!(browser.tells(state), json!(["", []]));
    assert_eq!(browser.tells("colour('.item', 'opacity')"), "1");
}

fn dark_follows_the_reader_and_the_button(browser: &mut Browser) {
    let light = json!(["rgb(255, 255, 255)", "rgb(255, 255, 255)", "rgb(15, 23, 42)"]);
    let dark = json!(["rgb(11, 18, 32)", "rgb(22, 32, 51)", "rgb(241, 245, 249)"]);
    let button = "document.getElementById('dark')";
    browser.prefers("light");
    assert_eq!(browser.look(), light);
    browser.prefers("dark");
    assert_eq!(browser.look(), dark);
    browser.click(button);
    assert_eq!(browser.look(), light);
    browser.click(button);
    browser.prefers("light");
    assert_eq!(browser.look(), dark, "what was chosen stays");
}
