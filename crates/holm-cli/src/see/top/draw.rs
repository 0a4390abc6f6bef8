//! The screen: a line of numbers, rows, what is told of the chosen one, and a line of keys.

use super::rows::{Of, Row, View};
use super::state::{Mode, State};
use crate::see::matrix::{With, leader, letters};
use crate::see::missing;
use crate::see::table::fold;
use holm::model::namespace::Namespace;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// Screens of fewer columns have a letter a kind.
const WIDE: u16 = 80;
/// A screen must have so many lines and so many columns.
const LEAST: [u16; 2] = [8, 24];

const HELP: &[&str] = &[
    "up, down, page up, page down, home, end",
    "         choose a row",
    "Tab      matrix of sets, or tree of user",
    "         namespaces",
    "Enter    the processes of a set",
    "Esc      back; all rows",
    "/        only rows with this text in a name,",
    "         or with this pid or letter",
    "s        sort by pid, processes, name",
    "e        a shell there; exit comes back",
    "k, K     send SIGTERM, SIGKILL; asks first",
    "q        quit",
    "",
    "A row is a set of processes with the same",
    "eight namespaces. -: the host's; own or *: of",
    "this set alone; a letter or +: shared with",
    "other sets; ?: not known.",
];

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let area = frame.area();
    let canvas = &mut Canvas { buffer: frame.buffer_mut(), width: area.width, colour: state.screen.colour };
    if area.height < LEAST[0] || area.width < LEAST[1] {
        return canvas.line(0, "too small", Style::new());
    }
    let told = (area.height / 3).clamp(2, 9);
    let list = area.height - told - 4;
    canvas.line(0, &summary(state), Style::new());
    let help = matches!(state.mode, Mode::Help);
    if help {
        (1..).zip(HELP).take(usize::from(area.height) - 2).for_each(|(y, line)| canvas.line(y, line, Style::new()));
    } else {
        heading(canvas, state);
        rows(canvas, state, list);
        canvas.line(list + 2, &state.screen.across().repeat(area.width.into()), Style::new());
        let lines = missing(&state.machine.unread).into_iter().chain(state.details.iter().cloned());
        let lines = lines.flat_map(|line| fold(&line, area.width.into())).take(told.into());
        (list + 3..).zip(lines).for_each(|(y, line)| canvas.line(y, &line, Style::new()));
    }
    canvas.line(area.height - 1, &footer(state), Style::new().add_modifier(Modifier::BOLD));
}

/// Where lines are written.
struct Canvas<'a> {
    buffer: &'a mut Buffer,
    width: u16,
    colour: bool,
}

impl Canvas<'_> {
    fn line(&mut self, y: u16, text: &str, style: Style) {
        self.buffer.set_stringn(0, y, text, self.width.into(), style);
    }

    /// Writes cells beside each other, with gaps; those of what is a set's own stand out.
    fn cells(&mut self, y: u16, cells: &[(String, usize)], gap: usize, style: Style) {
        let mut x = 0;
        for (text, room) in cells {
            if x >= usize::from(self.width) {
                break;
            }
            let own = self.colour && matches!(text.as_str(), "own" | "*");
            let ink = if own { style.fg(Color::Cyan) } else { style };
            let room = (*room).min(usize::from(self.width) - x);
            self.buffer.set_stringn(x as u16, y, format!("{text:room$}"), room, ink);
            x += room;
            let gap = gap.min(usize::from(self.width).saturating_sub(x));
            self.buffer.set_stringn(x as u16, y, " ".repeat(gap), gap, style);
            x += gap;
        }
    }
}

fn summary(state: &State) -> String {
    let (sets, processes) = (state.sharing.sets.len(), state.machine.processes.len());
    let namespaces = state.machine.namespaces.len();
    let with = match state.filter.as_str() {
        "" => String::new(),
        filter => format!("with \"{}\", of ", state.screen.text(filter)),
    };
    format!("holm top: {with}{sets} sets, {processes} processes, {namespaces} namespaces, by {}", state.sort.word())
}

fn footer(state: &State) -> String {
    match &state.mode {
        Mode::Ask(question) => question.text.clone(),
        Mode::Filter => format!("/{}", state.screen.text(&state.filter)),
        Mode::Help => "any key: back".to_owned(),
        Mode::Look if !state.message.is_empty() => state.message.clone(),
        Mode::Look => "q quit  ? help  / filter  s sort  Tab tree  Enter processes  e enter  k kill".to_owned(),
    }
}

fn is_wide(canvas: &Canvas<'_>) -> bool {
    canvas.width >= WIDE
}

/// The room of a kind's column, and its heading.
fn column(kind: Namespace, wide: bool) -> (String, usize) {
    let name = kind.name().to_uppercase();
    if wide { (name.clone(), name.len().max(4)) } else { (name[..1].to_owned(), 1) }
}

fn heading(canvas: &mut Canvas<'_>, state: &State) {
    let wide = is_wide(canvas);
    let cell = |text: &str, room| (text.to_owned(), room);
    let cells = match state.view {
        View::Matrix => {
            let mut cells = vec![cell("SET", 4)];
            cells.extend(Namespace::ALL.map(|kind| column(kind, wide)));
            cells.extend([cell("PROCS", 5), cell("LEADER", canvas.width.into())]);
            cells
        }
        View::Tree => vec![cell("USER NAMESPACE, SET", canvas.width.into())],
        View::Members(_) => vec![cell("PID", 10), cell("USER", 10), cell("NAME", canvas.width.into())],
    };
    canvas.cells(1, &cells, if wide { 2 } else { 1 }, Style::new().add_modifier(Modifier::BOLD));
}

fn rows(canvas: &mut Canvas<'_>, state: &mut State, room: u16) {
    state.page = room.into();
    state.first = state.first.min(state.chosen).max((state.chosen + 1).saturating_sub(state.page));
    let shown: Vec<(usize, Row)> = state.rows.iter().copied().enumerate().skip(state.first).take(state.page).collect();
    for (y, (number, row)) in (2..).zip(shown) {
        let style = if number == state.chosen { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        let wide = is_wide(canvas);
        let cells = cells(state, row, canvas.width.into(), wide);
        canvas.cells(y, &cells, if wide { 2 } else { 1 }, style);
    }
}

fn cells(state: &State, row: Row, width: usize, wide: bool) -> Vec<(String, usize)> {
    let name = |pid: u32| state.machine.process(pid).map(|one| state.screen.text(&one.name)).unwrap_or_default();
    match row.of {
        Of::Set(number) => {
            let set = &state.sharing.sets[number];
            let leader = leader(&state.machine, set).map(|one| format!("{} {}", one.pid, state.screen.text(&one.name)));
            let leader = leader.unwrap_or_default();
            if state.view == View::Tree {
                let indent = "  ".repeat(row.depth);
                let text = format!("{indent}{}: {} in it, {leader}", letters(number), set.processes.len());
                return vec![(text, width)];
            }
            let mut cells = vec![(letters(number), 4)];
            let cell = |kind| (with(state.sharing.with(number, kind), wide), column(kind, wide).1);
            cells.extend(Namespace::ALL.map(cell));
            cells.extend([(set.processes.len().to_string(), 5), (leader, width)]);
            cells
        }
        Of::User(place) => {
            let found = &state.machine.namespaces[place];
            let by = found.uid.map(|uid| format!(", made by user {uid}")).unwrap_or_default();
            vec![(format!("{}user {}{by}", "  ".repeat(row.depth), found.inode), width)]
        }
        Of::Process(pid) => {
            let uid = state.machine.process(pid).map(|process| process.uid.to_string()).unwrap_or_default();
            vec![(pid.to_string(), 10), (uid, 10), (name(pid), width)]
        }
    }
}

/// A cell of the matrix; where there is room for one letter only, that.
fn with(with: With<'_>, wide: bool) -> String {
    match with {
        With::Own if !wide => "*".to_owned(),
        With::Sets(sets) if !wide && sets[0] >= 26 => "+".to_owned(),
        other => other.to_string(),
    }
}
