// Guess first: a cell that begins with `guess = ""` gets a field, and its outcome, with what follows
// in its section, is shown once a guess was made. Guesses stay in the reader's browser. Without
// JavaScript, and in print, everything is shown.

const NO_GUESS = "–";
const page = location.pathname.split("/").pop();
const memory = new Map(); // where the browser keeps nothing, guesses last as long as the page

function recall(key) {
  try {
    return memory.get(key) ?? localStorage.getItem(`guess:${key}`) ?? "";
  } catch {
    return "";
  }
}

function remember(key, value) {
  memory.set(key, value);
  try {
    localStorage.setItem(`guess:${key}`, value);
  } catch {}
}

/** Show what follows a cell in its section, up to the next guess that is still open. */
function update(section) {
  let hidden = false;
  for (const part of section.children) {
    if (part.tagName === "SECTION") continue;
    part.classList.toggle("after-guess", hidden);
    if (!part.guessing) continue;
    const guess = recall("off") ? NO_GUESS : recall(part.guessing);
    const output = part.querySelector(".cell_output");
    part.querySelector("form").classList.toggle("after-guess", guess !== "");
    output.classList.toggle("after-guess", guess === "");
    hidden ||= guess === "";
    for (const text of output.querySelectorAll("pre")) {
      if (guess && guess !== NO_GUESS) text.innerHTML = text.innerHTML.replace("nothing yet", () => {
        const shown = document.createElement("b");
        shown.textContent = guess;
        return shown.outerHTML;
      });
    }
  }
}

/** Put the field between a cell and its outcome. */
function ask(cell, number) {
  cell.guessing = `${page}:${number}`;
  const form = document.createElement("form");
  form.className = "guess";
  form.innerHTML = `<label>Your guess <input autocomplete="off"></label>
    <button>Show what came out</button>
    <button type="button">Stop asking</button>`;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    remember(cell.guessing, form.querySelector("input").value.trim() || NO_GUESS);
    update(cell.parentElement);
  });
  form.querySelector("[type=button]").addEventListener("click", () => {
    remember("off", "yes");
    document.querySelectorAll("article section").forEach(update);
  });
  cell.querySelector(".cell_output").before(form);
}

const cells = [...document.querySelectorAll("article .cell")].filter((cell) =>
  /^guess = ""/m.test(cell.querySelector(".cell_input")?.textContent ?? ""),
);
cells.forEach(ask);
new Set(cells.map((cell) => cell.parentElement)).forEach(update);
