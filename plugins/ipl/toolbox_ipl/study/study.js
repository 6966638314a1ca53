"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const page = document.getElementById("page");
const answers = [];

// random numbers in [0, 1) that are a function of a text (FNV-1a, then mulberry32)
function randomOf(text) {
  let state = 2166136261;
  for (const character of text) {
    state = Math.imul(state ^ character.codePointAt(0), 16777619);
  }
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function put(name, text, where = page) {
  const made = document.createElement(name);
  made.textContent = text;
  where.append(made);
  return made;
}

function planned(rater) {
  const random = randomOf(content.study + content.seed + rater);
  const order = content.questions.map((question) => ({ ...question }));
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order.map((question) => ({ ...question, left: random() < 0.5 ? "x" : "y" }));
}

function welcome() {
  put("h1", content.text);
  put("p", `You will see ${content.questions.length} pairs of pictures. Click on one of each pair, or press the left or right arrow key.`);
  const name = put("input", "");
  name.placeholder = "your name or number";
  name.setAttribute("aria-label", "your name or number");
  const go = put("button", "Begin");
  go.className = "go";
  go.onclick = () => {
    const rater = name.value.trim();
    if (rater) {
      addEventListener("beforeunload", warn);
      ask(rater, planned(rater), 0);
    }
  };
}

function warn(event) {
  event.preventDefault();
}

function ask(rater, plan, place) {
  page.replaceChildren();
  if (place === plan.length) {
    finish(rater);
    return;
  }
  const shown = plan[place];
  const began = performance.now();
  put("h2", content.text);
  const pair = put("div", "");
  pair.className = "pair";
  const choose = (choice) => {
    document.onkeydown = null;
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    answers.push([content.study, rater, shown.question, shown.left, choice, seconds]);
    ask(rater, plan, place + 1);
  };
  for (const side of ["left", "right"]) {
    const which = side === "left" ? shown.left : shown.left === "x" ? "y" : "x";
    const button = put("button", "", pair);
    button.setAttribute("aria-label", side);
    const image = put("img", "", button);
    image.src = shown[which];
    image.alt = side;
    button.onclick = () => choose(side);
  }
  put("p", `${place + 1} of ${plan.length}`).className = "faint";
  document.onkeydown = (event) => {
    if (event.key === "ArrowLeft") choose("left");
    if (event.key === "ArrowRight") choose("right");
  };
}

function finish(rater) {
  const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const head = ["study", "rater", "question", "left", "choice", "seconds"];
  const text = [head, ...answers].map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
  put("h1", "Thank you");
  put("p", "Save your answers, and send the file to whoever asked you.");
  const link = put("a", "Save the answers");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = `answers-${content.study}-${rater.replace(/[^\w-]+/g, "_")}.csv`;
  link.onclick = () => removeEventListener("beforeunload", warn);
}

welcome();
