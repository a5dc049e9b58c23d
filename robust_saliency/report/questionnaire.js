"use strict";
// Asks, keeps what was answered in the browser, and gives it as a file.

const study = JSON.parse(document.getElementById("study").textContent);
const forced = study.design === "forced_choice";
const place = `questionnaire ${study.questionnaire}`;
const element = (id) => document.getElementById(id);

// A number below 2^32 for a text (FNV-1a), and numbers in [0, 1) that follow from it (mulberry32).
const hash = (text) => {
  let found = 2166136261;
  for (const character of text) {
    found = Math.imul(found ^ character.codePointAt(0), 16777619);
  }
  return found >>> 0;
};
const numbers = (seed) => () => {
  seed = (seed + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
};
const shuffled = (list, draw) => {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
};

const newParticipant = () =>
  [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
// Everything that is random follows from the questionnaire's seed and the participant.
const drawn = (participant) => {
  const draw = numbers(hash(`${study.seed} ${study.questionnaire} ${participant}`));
  if (forced) {
    const questions = shuffled(study.questions, draw);
    return questions.map((one) => ({ ...one, choices: shuffled(one.choices, draw) }));
  }
  const one_of_each = study.groups.map((group) => group[Math.floor(draw() * group.length)]);
  return shuffled(one_of_each, draw);
};

// What is kept: the participant, where they are, and the answer to each question by its code.
let state = null;
const write = (name, text) => {
  try {
    localStorage.setItem(name, text);
    sessionStorage.setItem(name, text); // of this tab, where the browser has lost the other
    element("no-storage").hidden = true;
  } catch {
    element("no-storage").hidden = false;
  }
};
const keep = () => write(place, JSON.stringify(state));
const kept = () => {
  try {
    const found = JSON.parse(localStorage.getItem(place) ?? sessionStorage.getItem(place));
    const whole =
      /^[0-9a-f]{32}$/.test(found.participant) &&
      Number.isInteger(found.step) &&
      found.answers instanceof Object;
    return whole ? found : null;
  } catch {
    return null;
  }
};

let questions = [];
let seconds = 0; // that the question has been looked at
let since = 0; // when it came into view
const look = () => {
  if (since) seconds += (performance.now() - since) / 1000;
  since = document.hidden ? 0 : performance.now();
};
document.addEventListener("visibilitychange", look);

const show = (id) => {
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = section.id !== id;
  }
  const heading = element(id).querySelector("h2");
  if (heading) heading.focus({ preventScroll: true });
  scrollTo(0, 0);
};

const button = (content, pressed, act) => {
  const made = document.createElement("button");
  made.type = "button";
  made.setAttribute("aria-pressed", String(pressed));
  made.append(...content);
  // The second click of a double one would answer the next question.
  made.addEventListener("click", (event) => event.detail > 1 || act());
  return made;
};
const picture = (source, alt) => {
  const image = new Image();
  image.src = source;
  image.alt = alt;
  return image;
};

const ask = () => {
  const number = state.step;
  if (number < 0) return show("intro");
  if (number >= questions.length) return end();
  const question = questions[number];
  element("progress").max = questions.length;
  element("progress").value = number;
  element("count").textContent = `${number + 1} of ${questions.length}`;
  seconds = state.answers[question.code]?.seconds ?? 0;
  since = document.hidden ? 0 : performance.now();
  element("image").hidden = !question.image;
  element("image").classList.toggle("beside", forced);
  if (question.image) element("image").firstElementChild.src = question.image;
  (forced ? askForChoice : askForLabels)(question);
  show("question");
};

const answer = (question, given) => {
  look();
  state.answers[question.code] = { ...given, seconds: Math.round(seconds * 10) / 10 };
  keep();
};
const go = (by) => {
  state.step = Math.min(Math.max(state.step + by, -1), questions.length);
  keep();
  ask();
};

const askForChoice = (question) => {
  const what = question.image ? "why this is" : "what to look for in";
  element("ask").textContent = `Which picture shows best ${what} “${question.label}”?`;
  const before = state.answers[question.code]?.choice;
  const choices = element("choices");
  choices.className = `pictures${question.choices.length > 6 ? " many" : ""}`;
  choices.replaceChildren(
    ...question.choices.map((one, i) =>
      button([picture(one.image, `Picture ${i + 1}`), `${i + 1}`], one.code === before, () => {
        answer(question, { shown: question.choices.map((c) => c.code), choice: one.code });
        go(1);
      }),
    ),
  );
};

const askForLabels = (question) => {
  element("ask").textContent = "Which label is most plausible, and which second?";
  const labels = element("choices");
  const long = study.labels.some((label) => label.length > 4);
  labels.className = `labels${long ? " long" : ""}`;
  const given = () => state.answers[question.code];
  const draw = () => {
    const { first = null, second = null } = given() ?? {};
    [...labels.children].forEach((one, label) => {
      one.setAttribute("aria-pressed", String(label === first || label === second));
      const rank = label === first ? "1st" : label === second ? "2nd" : "";
      one.lastElementChild.textContent = rank;
    });
    element("none").setAttribute("aria-pressed", String(Boolean(given()) && first === null));
    element("next").disabled = !given();
  };
  // Taken back, the first makes room for the second; a third is not taken.
  const choose = (label) => {
    let { first = null, second = null } = given() ?? {};
    if (label === second) second = null;
    else if (label === first) [first, second] = [second, null];
    else if (first === null) first = label;
    else if (second === null) second = label;
    if (first === null) delete state.answers[question.code];
    else answer(question, { first, second });
    keep();
    draw();
  };
  labels.replaceChildren(
    ...study.labels.map((name, label) =>
      button([name, document.createElement("small")], false, () => choose(label)),
    ),
  );
  element("none").hidden = element("next").hidden = false;
  element("none").onclick = () => {
    if (given()?.first === null) delete state.answers[question.code];
    else answer(question, { first: null, second: null });
    keep();
    draw();
  };
  element("next").onclick = () => {
    answer(question, given());
    go(1);
  };
  draw();
};

const votes = () => {
  const { format, questionnaire, design, seed } = study;
  const answers = questions.map(({ code }) => ({
    [forced ? "question" : "picture"]: code,
    ...state.answers[code],
  }));
  return JSON.stringify(
    { format, questionnaire, design, seed, participant: state.participant, answers },
    null,
    1,
  );
};
const end = () => {
  // Where an answer is missing, as after a change by hand of what was kept, it is asked for.
  const missing = questions.findIndex(({ code }) => !state.answers[code]);
  if (missing >= 0) {
    state.step = missing;
    return ask();
  }
  element("text").value = votes();
  element("saved").textContent = "";
  element("anew").textContent = ANEW;
  return show("end");
};

const ANEW = element("anew").textContent;
const SURE = "Really delete them? Press again";
element("save").addEventListener("click", () => {
  const link = document.createElement("a");
  const name = `votes-${state.participant.slice(0, 8)}.json`;
  link.href = URL.createObjectURL(new Blob([votes()], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  element("saved").textContent = `Saved as ${name}, where this browser puts what it downloads.`;
});
element("anew").addEventListener("click", () => {
  if (element("anew").textContent !== SURE) {
    element("anew").textContent = SURE;
    return;
  }
  element("anew").textContent = ANEW;
  open(nobody());
  keep();
});
element("begin").addEventListener("click", () => go(1));
element("back").addEventListener("click", () => go(-1));
element("change").addEventListener("click", () => go(-1));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.matches("textarea") || element("question").hidden) return;
  const choices = [...element("choices").children];
  const named = forced
    ? choices[Number(event.key) - 1]
    : choices[study.labels.findIndex((name) => name.toLowerCase() === event.key.toLowerCase())];
  if (named) named.click();
  else if (event.key === "Backspace") go(-1);
  else if (!forced && event.key.toLowerCase() === "n") element("none").click();
  else if (!forced && event.key === "Enter" && !event.target.matches("button:focus-visible")) {
    if (!element("next").disabled) element("next").click();
  } else return;
  event.preventDefault();
});

const open = (found) => {
  state = found;
  questions = drawn(state.participant);
  ask();
};
const nobody = () => ({ participant: newParticipant(), step: -1, answers: {} });
open(kept() ?? nobody());
// Nobody is kept before they begin, but it is tried whether they could be.
if (state.step < 0) write("questionnaires", "are kept here");
else keep();
