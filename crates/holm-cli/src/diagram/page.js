"use strict";
// Places the boxes anew for the window's width and for what is collapsed, as layout.rs does. Searches, and turns dark.
const PAD = 12, GAP = 12, SMALL = 5, AFTER = 10, CHIP = 20, ITEM = 24, SET = 300, MARGIN = 16;
const svg = document.querySelector("svg");
const part = (id) => document.getElementById(id);
const kids = (area, name) => [...area.children].filter((one) => one.classList.contains(name));
const frame = (group) => group.querySelector(":scope > rect");
const move = (group, x, y) => group.setAttribute("transform", `translate(${x} ${y})`);

function size(area, width, height) {
  area.width = width;
  area.height = height;
  frame(area).setAttribute("width", width);
  frame(area).setAttribute("height", height);
}

function place(area, room) {
  const rows = area.dataset.flow === "rows";
  const closed = area.classList.contains("closed");
  const least = +area.dataset.least;
  const inside = Math.max(0, room - 2 * PAD);
  const flow = rows ? inside : Math.max(Math.min(inside, SET), least);
  let y = PAD + +area.dataset.head;
  let widest = least;
  const spots = (all, height) => {
    let x = 0;
    for (const one of all) {
      const width = +frame(one).getAttribute("width");
      if (x > 0 && x + width > flow) { x = 0; y += height + SMALL; }
      move(one, PAD + x, y);
      widest = Math.max(widest, x + width);
      x += width + SMALL;
    }
    if (all.length) y += height + AFTER;
  };
  const chips = kids(area, "chip"), items = kids(area, "item"), below = kids(area, "area");
  for (const one of [...chips, ...items, ...below]) one.classList.toggle("hidden", closed);
  if (!closed) {
    spots(chips, CHIP);
    spots(items, ITEM);
    for (const inner of below) place(inner, flow);
    let row = [], x = 0;
    const end = () => {
      const height = Math.max(...row.map((one) => one.height));
      for (const one of row) size(one, one.width, height);
      if (row.length) { widest = Math.max(widest, x - GAP); y += height + GAP; }
      row = [];
      x = 0;
    };
    for (const inner of below) {
      if (row.length && (!rows || x + inner.width > flow)) end();
      move(inner, PAD + x, y);
      x += inner.width + GAP;
      row.push(inner);
    }
    end();
    if (below.length) y -= GAP; else if (chips.length || items.length) y -= AFTER;
  }
  size(area, widest + 2 * PAD, y + PAD);
  if (!rows) widen(area, widest + 2 * PAD);
}

function widen(area, width) {
  size(area, width, area.height);
  if (area.dataset.flow !== "rows") for (const inner of kids(area, "area")) widen(inner, width - 2 * PAD);
}

// Where an interface is, and the way out of the areas that it is in, as lines.rs has it: the middle of its lower border, or that of
// the outermost box that is collapsed around it, the one that is shown.
function end(item, box) {
  let one = item;
  for (let closed = item.closest(".closed"); closed; closed = closed.parentElement.closest(".closed")) one = closed;
  const whole = part("areas").getBoundingClientRect();
  const own = box(one), floors = [];
  const at = [own.left + own.width / 2 - whole.left, own.bottom - whole.top];
  for (let area = one.parentElement.closest(".area"); area; one = area, area = area.parentElement.closest(".area")) {
    const { bottom } = box(one), small = one.classList.contains("item");
    const last = ![...kids(area, "item"), ...kids(area, "area")].some((other) => box(other).top >= bottom);
    floors.push({ area, left: box(area).left - whole.left + PAD / 2, y: bottom - whole.top + (small ? SMALL : GAP) / 2, small, last });
  }
  return { at, floors };
}

function corners(from, to, number) {
  const shared = from.floors.find((floor) => to.floors.some((other) => other.area === floor.area));
  if (!shared) return [from.at, to.at];
  const beside = (middle) => middle + (number % 3) * 3 - 3;
  const leave = ({ at, floors }) => {
    const points = [at];
    let x = at[0];
    for (const floor of floors) {
      const y = floor.small ? floor.y : beside(floor.y);
      if (floor.area === shared.area || !floor.last) points.push([x, y]);
      if (floor.area === shared.area) break;
      if (!floor.last) points.push([x = beside(floor.left), y]);
    }
    return points;
  };
  const there = leave(from), back = leave(to), ys = [there.at(-1)[1], back.at(-1)[1]];
  const border = ys[0] === ys[1] ? [] : ys.map((y) => [beside(shared.left), y]);
  return [...there, ...border, ...back.reverse()];
}

function all() {
  let y = 0, width = 0;
  for (const area of kids(part("areas"), "area")) {
    place(area, Math.max(360, document.documentElement.clientWidth - 2 * MARGIN));
    move(area, 0, y);
    y += area.height + GAP;
    width = Math.max(width, area.width);
  }
  const notes = part("notes");
  move(notes, MARGIN, MARGIN + y - GAP);
  width = Math.max(width, notes.getBBox().width) + 2 * MARGIN;
  const height = MARGIN + y - GAP + notes.children.length * 18 + MARGIN;
  for (const [name, value] of [["width", width], ["height", height], ["viewBox", `0 0 ${width} ${height}`]]) svg.setAttribute(name, value);
  // Each box is measured once, and all before any line is changed: a measure after a change lays the page out anew.
  const boxes = new Map();
  const box = (group) => boxes.get(group) ?? boxes.set(group, frame(group).getBoundingClientRect()).get(group);
  const lines = [...part("lines").children];
  const ends = lines.map((line) => line.dataset.ends.split(" ").map((name) => end(svg.querySelector(`[data-end="${name}"]`), box)));
  ends.forEach(([one, other], number) => {
    lines[number].lastElementChild.setAttribute("d", "M" + corners(one, other, number).map((point) => point.join(" ")).join("L"));
  });
}

function toggle(area, closed) {
  area.classList.toggle("closed", closed);
  const title = area.querySelector(":scope > .title");
  title.setAttribute("aria-expanded", !area.classList.contains("closed"));
  title.firstElementChild.textContent = area.classList.contains("closed") ? "\u25b8 " : "\u25be ";
}

function search() {
  const wanted = part("search").value.trim().toLowerCase();
  let count = 0;
  for (const one of svg.querySelectorAll(".item, .chip, .area")) {
    const own = one.classList.contains("area") ? kids(one, "title").concat(kids(one, "t-about")) : [one];
    const found = wanted !== "" && own.some((text) => text.textContent.toLowerCase().includes(wanted));
    one.classList.toggle("found", found);
    count += found;
    for (let closed = found && one.parentElement.closest(".closed"); closed; closed = closed.parentElement.closest(".closed")) toggle(closed, false);
  }
  svg.classList.toggle("looking", wanted !== "");
  part("count").textContent = wanted === "" ? "" : `${count} found`;
  all();
}

for (const area of svg.querySelectorAll(".area")) {
  const title = area.querySelector(":scope > .title");
  const mark = document.createElementNS(svg.namespaceURI, "tspan");
  title.prepend(mark);
  for (const [name, value] of [["tabindex", 0], ["role", "button"]]) title.setAttribute(name, value);
  const change = () => { toggle(area); all(); };
  title.addEventListener("click", change);
  title.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); change(); } });
  toggle(area, false);
}
for (const control of document.querySelectorAll("header [hidden]")) control.hidden = false;
part("search").addEventListener("input", search);
part("collapse").addEventListener("click", () => {
  const sets = [...svg.querySelectorAll(".area .area")].filter((area) => !area.parentElement.closest(".area .area"));
  const close = !sets.every((area) => area.classList.contains("closed"));
  for (const area of sets) toggle(area, close);
  all();
});
part("dark").addEventListener("click", () => {
  const root = document.documentElement, now = getComputedStyle(root).getPropertyValue("--dark").trim();
  root.dataset.theme = now === "1" ? "light" : "dark";
});
addEventListener("resize", all);
all();
