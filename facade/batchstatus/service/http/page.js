// Puts the service's messages into the page, shows times as ages, and says so when nothing comes any more.
"use strict";

const SILENCE = 15_000; // ms: the service sends something each second, or every few if its store is large
const RETRY = 3_000;
const connection = document.getElementById("connection");

let waiting = {}; // parts that came while text was selected, which a new part would drop
let ahead = 0; // ms that the service's clock is ahead of this one
let heardAt = Date.now();
let isLost = false;

function age(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min ago` : `${Math.floor(hours / 24)} days ago`;
}

function showAges() {
  for (const time of document.querySelectorAll("main time[datetime]")) {
    const at = new Date(time.dateTime);
    const text = age((Date.now() + ahead - at) / 1000);
    if (time.textContent !== text) time.textContent = text;
    time.title ||= at.toLocaleString();
  }
}

function showParts() {
  if (!getSelection().isCollapsed) return;
  for (const [name, html] of Object.entries(waiting)) document.getElementById(name).innerHTML = html;
  waiting = {};
  const count = document.getElementById("attention").querySelector("[data-count]")?.dataset.count ?? "0";
  document.title = count === "0" ? "batchstatus" : `(${count}) batchstatus`;
  showAges();
}

function showConnection() {
  document.body.classList.toggle("lost", isLost);
  const text = isLost ? `connection lost since ${new Date(heardAt).toLocaleTimeString()}; trying again` : "live";
  if (connection.textContent !== text) connection.textContent = text; // a screen reader reads it out
}

function lose() {
  isLost = true;
  showConnection();
}

function connect() {
  const source = new EventSource("events");
  source.onmessage = (message) => {
    const { at, parts } = JSON.parse(message.data);
    heardAt = Date.now();
    ahead = new Date(at) - heardAt;
    isLost = false;
    Object.assign(waiting, parts);
    showConnection();
    showParts();
  };
  source.onerror = () => {
    lose();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY); // it was answered, but not with events
  };
}

document.addEventListener("selectionchange", showParts);
setInterval(() => {
  if (Date.now() - heardAt > SILENCE) lose();
  showAges();
}, 1_000);
showAges();
connect();
